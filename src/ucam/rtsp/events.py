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


@dataclass(frozen=True, slots=True)
class DescribeRequested:
    """A player asks what `path` (unchecked) is. Wants a decision."""

    request: Request
    path: str
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class PlayRequested:
    """A player that was described and set up wants media. Wants a decision.

    `channels`: the player's (RTP, RTCP) by the number of the track in the description. `options`:
    what stood in the query of the URI that was described, the token left out.
    """

    request: Request
    path: str
    channels: dict[int, tuple[int, int]]
    options: dict[str, str]
    user_agent: str


@dataclass(frozen=True, slots=True)
class Paused:
    """The player wants no more media until it asks to play again."""


class Media(NamedTuple):
    """Packets of supported tracks (RTP and RTCP channels), in order, of one stretch of bytes.

    The packets are views of immutable bytes: they stay valid for as long as they are kept. `raw`:
    the same with their interleaving heads, as they came; None when others stood between them.
    """

    packets: list[tuple[int, memoryview]]
    raw: memoryview | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more comes: send what `data_to_send` still has, then close the transport."""

    reason: str


Decision = Announced | ParameterQuery | DescribeRequested | PlayRequested
Event = Decision | Recording | Paused | Media | Closed
