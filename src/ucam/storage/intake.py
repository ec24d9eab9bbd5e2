"""A publisher's packets on their way into its recording: video, audio beside it, or audio alone."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack
from ucam.rtsp import SDPError
from ucam.rtsp.events import RecordedTrack
from ucam.storage.recording import Recording
from ucam.storage.stream import Arrived, Stream

if TYPE_CHECKING:
    from ucam.storage.g711 import Transcoder

Sink = Callable[[Arrived], None]
CODED_ANEW = ("PCMU", "PCMA")


class Taken(NamedTuple):
    """What packets were. `units`: of the leading track (video, if there is any), each with the
    packet with which it became whole. `reports`: RTCP packets with their channels.
    """

    units: list[tuple[memoryview, AccessUnit]]
    reports: list[tuple[int, memoryview]]


class Intake:
    """The tracks of one publisher that are recorded. Raises `ValueError` for none."""

    def __init__(
        self, tracks: Sequence[RecordedTrack], first_number: int, recording: Recording
    ) -> None:
        wanted = [track for track in tracks if track.supported]
        # Video, if there is any, is what fragments and numbers go by.
        wanted.sort(key=lambda track: track.media.kind != "video")
        self._streams: list[tuple[Stream, Sink]] = []
        self._rtp: dict[int, tuple[Stream, Sink]] = {}
        self._rtcp: dict[int, Stream] = {}
        self._transcoder: Transcoder | None = None
        for place, track in enumerate(wanted):
            stream = Stream(track.media, _parameter_sets(track), first_number if not place else 0)
            sink: Sink = recording.push_audio if place else recording.push
            if track.media.encoding in CODED_ANEW:
                sink = self._coded_anew(track, first_number if not place else 0, sink)
            if place and isinstance(stream.track, AudioTrack):
                recording.audio = stream.track
            self._streams.append((stream, sink))
            self._rtp[track.rtp_channel] = stream, sink
            self._rtcp[track.rtcp_channel] = stream
        if not self._streams:
            raise ValueError("nothing of it can be recorded")
        self.encodings = " + ".join(track.media.encoding for track in wanted)

    def _coded_anew(self, track: RecordedTrack, first_number: int, sink: Sink) -> Sink:
        # FFmpeg's library is 20 MB that a storage without G.711 does without.
        from ucam.storage.g711 import Transcoder

        media = track.media
        self._transcoder = Transcoder(
            media.encoding, media.clock_rate, media.channels, first_number, sink
        )
        return self._transcoder.push

    @property
    def lost_packets(self) -> int:
        """Packets that never came, or came broken."""
        return sum(stream.lost_packets for stream, _ in self._streams)

    def take(self, packets: Iterable[tuple[int, memoryview]], now_us: int) -> Taken:
        """Packets as they came: (channel, packet) each."""
        taken = Taken([], [])
        leading = self._streams[0][0]
        for channel, packet in packets:
            found = self._rtp.get(channel)
            if found is not None:
                stream, sink = found
                for arrived in stream.rtp(packet, now_us):
                    sink(arrived)
                    if stream is leading:
                        taken.units.append((packet, arrived.unit))
            elif (reported := self._rtcp.get(channel)) is not None:
                reported.rtcp(packet)
                taken.reports.append((channel, packet))
        return taken

    def flush(self, now_us: int) -> None:
        """The publisher has said that nothing more comes: what was begun is whole."""
        for stream, sink in self._streams:
            for arrived in stream.flush(now_us):
                sink(arrived)

    async def drain(self) -> None:
        """What was taken has gone to the recording; nothing may be taken any more."""
        if self._transcoder is not None:
            await self._transcoder.finish()


def _parameter_sets(track: RecordedTrack) -> tuple[bytes, ...]:
    try:
        return track.media.parameter_sets()
    except SDPError:
        return ()  # they come in the stream, too, or nothing can be kept
