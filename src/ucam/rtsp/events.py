"""What a server connection tells its owner."""

from dataclasses import dataclass
from typing import NamedTuple

from ucam.rtsp import sdp
from ucam.rtsp.auth import Credentials
from ucam.rtsp.messages import Request


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
    user_agent: str


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
