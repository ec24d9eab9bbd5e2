"""What one RTSP connection has announced or asked for, and the tracks it has set up."""

from dataclasses import dataclass, field

from ucam.rtsp import sdp
from ucam.rtsp.errors import RTSPError
from ucam.rtsp.events import Announced, DescribeRequested, PlayRequested, RecordedTrack, Recording
from ucam.rtsp.messages import Request
from ucam.rtsp.presentation import base_of, options_of, track_of
from ucam.rtsp.recordable import recordable
from ucam.rtsp.transport import PLAY_MODES, RECORD_MODES, find_media, interleaved_channels

SDP_TYPE = "application/sdp"


@dataclass(slots=True)
class RecordSetup:
    """A publisher's tracks, from its ANNOUNCE on."""

    announced: Announced
    tracks: dict[int, RecordedTrack] = field(default_factory=dict)

    def set_up(self, request: Request) -> str:
        """One track more; its Transport header. Raises `RTSPError`."""
        session = self.announced.session
        index = find_media(session, request.uri)
        if index is None:
            raise RTSPError("No such track", 404)
        if index in self.tracks:
            raise RTSPError("This track is set up already", 455)
        taken = {c for t in self.tracks.values() for c in (t.rtp_channel, t.rtcp_channel)}
        channels = _channels(request, taken, RECORD_MODES)
        media = session.media[index]
        self.tracks[index] = RecordedTrack(media, *channels, index in recordable(session))
        return _transport(channels, "record")

    def record(self, request: Request) -> Recording:
        """Media may come. Raises `RTSPError`."""
        tracks = tuple(self.tracks[index] for index in sorted(self.tracks))
        if not any(track.supported for track in tracks):
            raise RTSPError("Nothing that can be recorded was set up", 455)
        return Recording(self.announced.path, tracks, request.header("User-Agent") or "")


@dataclass(slots=True)
class PlaySetup:
    """A player's tracks, from its DESCRIBE on: channels by the number of the track."""

    described: DescribeRequested
    tracks: int  # in the description
    channels: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The URI that the tracks' own hang below."""
        return base_of(self.described.request.uri)

    def set_up(self, request: Request) -> str:
        """One track more, or with other channels; its Transport header. Raises `RTSPError`."""
        index = track_of(request.uri, self.tracks)
        if index is None:
            raise RTSPError("No such track", 404)
        taken = {c for place, pair in self.channels.items() if place != index for c in pair}
        self.channels[index] = channels = _channels(request, taken, PLAY_MODES)
        return _transport(channels, "play")

    def play(self, request: Request) -> PlayRequested:
        """What the player wants."""
        return PlayRequested(
            request,
            self.described.path,
            dict(self.channels),
            options_of(self.described.request.uri),
            request.header("User-Agent") or "",
        )


def session_of(request: Request, max_media: int) -> sdp.SessionDescription:
    """What an ANNOUNCE describes, if some of it can be recorded. Raises `RTSPError`."""
    if (request.header("Content-Type") or SDP_TYPE).partition(";")[0].strip() != SDP_TYPE:
        raise RTSPError(f"ANNOUNCE wants {SDP_TYPE}", 415)
    session = sdp.parse(request.body, max_media=max_media)
    if not recordable(session):
        kinds = ", ".join(f"{m.kind} {m.encoding or m.payload_type}" for m in session.media)
        raise RTSPError(
            f"Nothing that can be recorded is announced, only: {kinds or 'nothing'}", 415
        )
    return session


def _channels(request: Request, taken: set[int], modes: tuple[str, ...]) -> tuple[int, int]:
    free = next(n for n in range(0, 255, 2) if not {n, n + 1} & taken)
    channels = interleaved_channels(request.header("Transport") or "", (free, free + 1), modes)
    if channels is None:
        raise RTSPError("Only RTP/AVP/TCP, interleaved, is supported", 461)
    if taken & set(channels):
        raise RTSPError("An interleaved channel is taken already", 400)
    return channels


def _transport(channels: tuple[int, int], mode: str) -> str:
    return f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]};mode={mode}"
