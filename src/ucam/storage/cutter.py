"""Access units into fragments and chunks: where to cut, without files, sockets or clocks.

A fragment ends before a keyframe once it is half a second long, without keyframes (and with audio
alone) after a second: what is not yet on the disk is never much more. A chunk ends before a
keyframe once it is long or large enough, and wherever its access units stop following each other.

Audio beside video goes along: what was captured before the picture that begins the next fragment
is in this one, if it has come by then, and else in the next. It has no numbers, and nothing ends
because of it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from ucam.media import DiscontinuityError
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import ticks
from ucam.media.decode_times import DecodeTimes
from ucam.media.fmp4 import Beside, Sample
from ucam.media.track import AudioTrack, Track

FRAGMENT_MIN_90K = 45_000
# A keyframe a second is common; a little late, it still begins a fragment.
FRAGMENT_MAX_90K = 99_000
# More than any second of video, fewer than the 1,024 buffers that one writev takes.
MAX_FRAGMENT_UNITS = 990
# Audio that waits for its video: some seconds of any codec.
MAX_AUDIO_WAITING = 1000
# Audio and video begin together, but for how long their coders take.
AUDIO_BEFORE_90K = 45_000
MAX_FRAGMENT_BYTES = 32 << 20
# Cameras' seconds are not exact: this much early is in time.
CHUNK_EARLY_90K = 9_000
# Access units further apart than this do not belong into one chunk.
HOLE_90K = 180_000
USUAL_FRAME_90K = 3_000
SAMPLE_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class OpenChunk:
    """Begin a chunk that starts at `start_us`. `broken`: why it doesn't follow the one before.
    `audio`: the track beside the video's.
    """

    start_us: int
    track: Track
    run: str
    first_number: int
    broken: str | None
    audio: AudioTrack | None = None


@dataclass(frozen=True, slots=True)
class AddFragment:
    """Append a fragment: `samples` describe `data`, one each; behind them, in one piece, lies what
    `audio` describes.

    `start_us`: capture time of its first access unit; `last_utc_us` that of its last.
    """

    samples: tuple[Sample, ...]
    data: tuple[bytes, ...] = field(repr=False)
    base_dts_90k: int
    start_us: int
    first_number: int
    last_number: int
    last_utc_us: int
    audio: Beside | None = None

    @property
    def duration_90k(self) -> int:
        """The sum of its samples' durations."""
        return sum(sample.duration_90k for sample in self.samples)

    @property
    def size(self) -> int:
        """Bytes of coded media."""
        return sum(map(len, self.data))


@dataclass(frozen=True, slots=True)
class CloseChunk:
    """End the chunk."""


Action = OpenChunk | AddFragment | CloseChunk


@dataclass(slots=True)
class Cutter:
    """One device's access units into actions for the writer.

    `chunk_us`, `chunk_bytes`: how long or large a chunk becomes; None: no such limit.
    Call `begin` before the first `push` and whenever track or run change.
    """

    chunk_us: int | None
    chunk_bytes: int | None
    dropped: int = 0  # access units before the first keyframe
    dropped_audio: int = 0  # frames that came after later ones, or whose video never came
    _track: Track | None = None
    _run: str = ""
    _decode_times: DecodeTimes | None = None
    _pending: list[tuple[AccessUnit, int]] = field(default_factory=list)  # with dts
    _pending_bytes: int = 0
    _open: bool = False
    _chunk_dts_90k: int = 0
    _last_dts_90k: int = 0
    _chunk_size: int = 0
    _gop_size: int = 0
    _last_gop_size: int = 0
    _last_fragment_size: int = 0
    _last_number: int | None = None
    _broken: str | None = None
    _missing: str | None = None  # what the publisher said about what it doesn't send
    _frame_90k: int = USUAL_FRAME_90K
    _audio_track: AudioTrack | None = None
    # Frames with their times, bounded by MAX_AUDIO_WAITING: the oldest go.
    _audio: deque[tuple[bytes, int]] = field(default_factory=deque)
    _last_audio_90k: int | None = None
    _fresh: bool = True  # the next chunk follows nothing
    _audio_frame_90k: int = USUAL_FRAME_90K

    def begin(
        self,
        track: Track,
        run: str,
        reason: str | None,
        *,
        follows: int | None = None,
        audio: AudioTrack | None = None,
        missing: str | None = None,
        heard_90k: int | None = None,
    ) -> list[Action]:
        """From now on access units of this track and run; ends the chunk that is open.

        `reason`: why, if there turns out to be a gap. `follows`: the number of the last access
        unit of this run that is stored already; the one behind it may be no keyframe. `audio`:
        what `push_audio` will give. `missing`: why the publisher doesn't send all that follows it.
        `heard_90k`: when the last frame of that audio begins that is stored already.
        """
        actions = self.end(reason)
        # What goes on behind stored sound is kept, however long before the next picture it began.
        self._last_audio_90k, self._fresh = heard_90k, heard_90k is None
        self._track, self._run, self._audio_track = track, run, audio
        self._last_number, self._missing = follows, missing
        return actions

    def push(self, unit: AccessUnit, limit_bytes: int | None) -> list[Action]:
        """The next access unit in decode order. `limit_bytes`: what a chunk may take now."""
        assert self._track is not None, "begin() comes first"
        actions: list[Action] = []
        if self._last_number is not None and unit.number != self._last_number + 1:
            actions += self._lost()
        dts = self._decode_time(unit, actions)
        if self._open and dts - self._last_dts_90k > HOLE_90K:
            actions += self.end("the camera sent nothing")
            dts = self._decode_time(unit, actions)
        if self._pending and self._fragment_ends(unit, dts):
            actions.append(self._fragment(dts - self._pending[-1][1], ticks(unit.utc_us)))
            if unit.keyframe and self._chunk_ends(dts, limit_bytes):
                actions += self._close()
        if not self._open:
            if not unit.keyframe and self._last_number is None:
                self.dropped += 1
                return actions
            actions.append(self._open_with(unit, dts))
        self._keep(unit, dts)
        return actions

    def push_audio(self, unit: AccessUnit) -> None:
        """The next frame of the audio beside the video."""
        pts = ticks(unit.utc_us)
        last = self._last_audio_90k
        if last is not None and pts <= last:
            self.dropped_audio += 1
            return
        if last is not None and self._audio:
            self._audio_frame_90k = pts - last
        self._last_audio_90k = pts
        size = len(unit.data) + SAMPLE_HEAD_BYTES
        self._gop_size += size
        self._chunk_size += size
        self._audio.append((unit.data, pts))
        if len(self._audio) > MAX_AUDIO_WAITING:
            self._audio.popleft()
            self.dropped_audio += 1

    def flush(self) -> list[Action]:
        """What waits for its successor goes out now: the camera has stopped sending."""
        return [self._fragment(self._frame_90k, None)] if self._pending else []

    def end(self, reason: str | None) -> list[Action]:
        """Everything out and the chunk closed. `reason`: why, told if a gap follows."""
        actions = self.flush()
        actions += self._close()
        self._broken = reason
        self._decode_times = None
        self._last_audio_90k = None
        self._audio.clear()
        self._fresh = True
        return actions

    def _lost(self) -> list[Action]:
        """The next access unit doesn't follow the last one."""
        if self._open:
            actions = self.end("packets were lost on the way from the camera")
        else:
            actions = []
            self._broken = self._missing or "the camera could not keep all that was not stored"
        self._last_number = None
        return actions

    def _decode_time(self, unit: AccessUnit, actions: list[Action]) -> int:
        assert self._track is not None
        pts = ticks(unit.utc_us)
        for _ in range(2):
            if self._decode_times is None:
                self._decode_times = DecodeTimes(
                    self._track.reorder_depth, frame_90k=self._frame_90k
                )
            try:
                return self._decode_times.push(pts)
            except DiscontinuityError:
                actions += self.end("the camera's clock went back")
        raise AssertionError("the first picture of a stretch can't be discontinuous")

    def _fragment_ends(self, unit: AccessUnit, dts: int) -> bool:
        age = dts - self._pending[0][1]
        # Audio alone is all keyframes: a fragment a second will do.
        least = 2 * FRAGMENT_MIN_90K if isinstance(self._track, AudioTrack) else FRAGMENT_MIN_90K
        return (
            (unit.keyframe and age >= least)
            or age >= FRAGMENT_MAX_90K
            or len(self._pending) >= MAX_FRAGMENT_UNITS
            or self._pending_bytes + len(unit.data) > MAX_FRAGMENT_BYTES
        )

    def _chunk_ends(self, dts: int, limit_bytes: int | None) -> bool:
        length = dts - self._chunk_dts_90k
        if self.chunk_us is not None and length >= ticks(self.chunk_us) - CHUNK_EARLY_90K:
            return True
        limits = [limit for limit in (self.chunk_bytes, limit_bytes) if limit is not None]
        # The next group of pictures will be about as large as the larger of the last two.
        coming = max(self._gop_size, self._last_gop_size)
        if isinstance(self._track, AudioTrack):
            coming = self._last_fragment_size
        return bool(limits) and self._chunk_size + coming > min(limits)

    def _open_with(self, unit: AccessUnit, dts: int) -> OpenChunk:
        assert self._track is not None
        self._open = True
        if self._fresh:
            # Of what was heard before the first picture only a moment is kept.
            start = ticks(unit.utc_us) - AUDIO_BEFORE_90K
            while self._audio and self._audio[0][1] < start:
                self._audio.popleft()
                self.dropped_audio += 1
        self._fresh = False
        self._chunk_dts_90k = dts
        self._chunk_size = 0
        broken, self._broken = self._broken, None
        return OpenChunk(
            unit.utc_us, self._track, self._run, unit.number, broken, self._audio_track
        )

    def _keep(self, unit: AccessUnit, dts: int) -> None:
        if self._pending:
            self._frame_90k = dts - self._pending[-1][1]
        if unit.keyframe:
            self._last_gop_size, self._gop_size = self._gop_size, 0
        size = len(unit.data) + SAMPLE_HEAD_BYTES
        self._gop_size += size
        self._chunk_size += size
        self._last_dts_90k = dts
        self._pending.append((unit, dts))
        self._pending_bytes += len(unit.data)
        self._last_number = unit.number

    def _fragment(self, last_duration_90k: int, end_90k: int | None) -> AddFragment:
        """What is pending, and the audio before `end_90k` (None: all)."""
        units = [unit for unit, _ in self._pending]
        samples = tuple(self._samples(last_duration_90k))
        base = self._pending[0][1]
        self._last_fragment_size = self._pending_bytes + SAMPLE_HEAD_BYTES * len(units)
        self._pending, self._pending_bytes = [], 0
        beside, sound = self._take_audio(end_90k)
        return AddFragment(
            samples=samples,
            data=(*(unit.data for unit in units), *sound),
            base_dts_90k=base,
            start_us=units[0].utc_us,
            first_number=units[0].number,
            last_number=units[-1].number,
            last_utc_us=units[-1].utc_us,
            audio=beside,
        )

    def _take_audio(self, end_90k: int | None) -> tuple[Beside | None, tuple[bytes, ...]]:
        taken: list[tuple[bytes, int]] = []
        while self._audio and (end_90k is None or self._audio[0][1] < end_90k):
            taken.append(self._audio.popleft())
        if not taken:
            return None, ()
        times = [pts for _, pts in taken]
        # A frame lasts until the next one, if that has come already.
        times.append(self._audio[0][1] if self._audio else times[-1] + self._audio_frame_90k)
        samples = tuple(
            Sample(len(data), after - pts, 0, keyframe=True)
            for (data, pts), after in zip(taken, times[1:], strict=True)
        )
        return Beside(samples, times[0]), (b"".join(data for data, _ in taken),)

    def _samples(self, last_duration_90k: int) -> Iterator[Sample]:
        times = [dts for _, dts in self._pending]
        durations = [*(b - a for a, b in pairwise(times)), last_duration_90k]
        for (unit, dts), duration in zip(self._pending, durations, strict=True):
            yield Sample(len(unit.data), duration, ticks(unit.utc_us) - dts, unit.keyframe)

    def _close(self) -> list[Action]:
        if not self._open:
            return []
        self._open = False
        return [CloseChunk()]
