"""The server's side of one RTSP connection on which a device publishes.

    for event in connection.receive(data):
        match event:
            case Announced():       # decide: connection.accept(event) or .refuse(event, 401, "…")
            case ParameterQuery():  # connection.answer(event, {...}) or .refuse(...)
            case Recording():       # event.tracks: which channel holds what
            case Media():           # event.packets: (channel, packet) in order
            case Closed():          # send data_to_send(), then close
    transport.write(connection.data_to_send())

`receive` gives its events one by one; behind an event that wants a decision it goes on when the
decision has been made (if that takes a while: call `receive(b"")` after it).
OPTIONS, SETUP, RECORD, TEARDOWN, keep-alives and what is out of order are answered inside, and so
is an ANNOUNCE without credentials (401), without H.264 (415), or with a broken SDP (400).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ucam.rtsp import sdp
from ucam.rtsp.auth import Credentials
from ucam.rtsp.messages import Request
from ucam.rtsp.states import State


@dataclass(frozen=True, slots=True)
class Announced:
    """A publisher asks to record `path` (a bare JID, unchecked). Wants a decision."""

    request: Request
    path: str
    credentials: Credentials
    session: sdp.SessionDescription


@dataclass(frozen=True, slots=True)
class ParameterQuery:
    """GET_PARAMETER with names in its body (in lower case, at least one). Wants an answer.

    `authorized`: the ANNOUNCE of this path was accepted on this connection; otherwise the owner
    decides by `credentials` (which are there: without any, 401 was answered).
    """

    request: Request
    path: str
    credentials: Credentials | None
    names: tuple[str, ...]
    authorized: bool


@dataclass(frozen=True, slots=True)
class RecordedTrack:
    """A track that was set up. `supported` is false for media whose packets are passed over
    (audio beside the video): the owner may say so in its log.
    """

    media: sdp.Media
    rtp_channel: int
    rtcp_channel: int
    supported: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """RECORD was accepted: media follow. At least one track is supported."""

    path: str
    tracks: tuple[RecordedTrack, ...]
    user_agent: str = field(default="")


class Media(NamedTuple):
    """Packets of supported tracks (RTP and RTCP channels), in order, of one stretch of bytes.

    The packets are views of immutable bytes: they stay valid for as long as they are kept.
    """

    packets: list[tuple[int, memoryview]]


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more comes: send what `data_to_send` still has, then close the transport."""

    reason: str


Event = Announced | ParameterQuery | Recording | Media | Closed


class ServerConnection:
    """One connection. `entropy`: at least 16 bytes of os.urandom, for the session's id.

    `session_timeout_s` is what the client is told; the owner closes a connection that stays silent
    for longer. `max_refusals`: so many 401 and 403, then the connection is closed.
    """

    def __init__(
        self,
        entropy: bytes,
        *,
        server: str = "ucam",
        session_timeout_s: int = 60,
        max_head: int = 16_384,
        max_body: int = 65_536,
        max_tracks: int = 8,
        max_waiting: int = 64,
        max_refusals: int = 5,
    ) -> None:
        self.state = State.INIT

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[Event]:
        """What these bytes bring. Never raises for what a peer sends."""
        raise NotImplementedError

    def accept(self, event: Announced) -> None:
        """Yes to an ANNOUNCE. Raises `UsageError` if this event waits for no decision."""
        raise NotImplementedError

    def answer(self, event: ParameterQuery, parameters: Mapping[str, str]) -> None:
        """The values asked for, as lines `name: value` of text/parameters."""
        raise NotImplementedError

    def refuse(self, event: Announced | ParameterQuery, status: int, reason: str) -> None:
        """No, with a status (401 brings the challenges along) and a reason in plain words."""
        raise NotImplementedError

    def close(self, reason: str) -> None:
        """The owner ends the connection: the next `receive` gives nothing but `Closed`."""
        raise NotImplementedError

    def data_to_send(self) -> bytes:
        """The bytes to write now; empty when there are none."""
        raise NotImplementedError
