"""A progressive MP4 (moov first) out of fragments: its head, and where its samples lie.

Nothing is copied but numbers: the samples' bytes stay in the chunks, in their order, one mdat after
the head. Time begins with 0 at `from` and goes on without a hole: where nothing was recorded the
next picture follows the last. What lies before `from` in the first group of pictures is there to be
decoded, and an edit list hides it; likewise what lies behind `to` (ISO/IEC 14496-12 §8.6.6).
"""

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

from ucam.media import ContainerError
from ucam.media.boxes import box
from ucam.storage.playback.heads import NOT_SYNC, FragmentHead, Run, TrackHead
from ucam.storage.playback.moov import Rows, TrackBoxes, movie

# A difference to where the last fragment ended that is no gap: spread over the last sample.
GAP_S = Fraction(1, 2)
# Durations that jitter are made even when no sample moves by more than this: small tables.
MOST_MOVED_S = Fraction(1, 1000)
_LARGE_MDAT = 16


class MixedError(ContainerError):
    """The camera changed its codec: one file can't hold both."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A finished file: `head` (ftyp, moov, the mdat's head), then parts of other files.

    Part n lies at `starts[n]` of what follows the head, and is in file `files[n]` from
    `offsets[n]` on; the last ends at `data_bytes`. `duration_s`: as a player shows it.
    """

    head: bytes
    files: "array[int]"
    offsets: "array[int]"
    starts: "array[int]"
    data_bytes: int
    duration_s: float

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return len(self.head) + self.data_bytes


@dataclass(slots=True)
class _Track:
    head: TrackHead
    entries: list[bytes]
    entry: int = 1
    start: int = 0  # of its first sample, on the file's time line
    next: int = 0  # where its last sample ends
    pts_end: int = 0
    count: int = 0
    all_sync: bool = True
    durations: Rows = field(default_factory=Rows)
    compositions: Rows = field(default_factory=Rows)
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    sync: "array[int]" = field(default_factory=lambda: array("I"))
    chunk_offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    chunk_rows: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, run: Run, dts: int, data_offset: int) -> None:
        """Samples that begin at `dts` of the file's time line."""
        if self.count:
            self._stretch_last(dts - self.next)
            dts = self.next
        else:
            self.start = self.next = dts
        count, total = len(run.sizes), sum(run.durations)
        self._add_durations(run.durations, total)
        self.compositions.extend(run.compositions)
        self._add_sync(run)
        self.chunk_offsets.append(data_offset)
        if not self.chunk_rows or self.chunk_rows[-1][1:] != (count, self.entry):
            self.chunk_rows.append((len(self.chunk_offsets), count, self.entry))
        self.sizes.extend(run.sizes)
        self.count += count
        self.next = dts + total
        ends = map(int.__add__, accumulate(run.durations), run.compositions)
        self.pts_end = max(self.pts_end, dts + max(ends))

    def _stretch_last(self, by: int) -> None:
        """The last sample lasts until the next one begins; it can't last less than nothing."""
        self.next += self.durations.change_last(by)

    def _add_durations(self, values: "array[int]", total: int) -> None:
        count = len(values)
        if values.count(values[0]) != count:
            short, longer = divmod(total, count)
            limit = int(self.head.timescale * MOST_MOVED_S)
            even = [short + 1] * longer + [short] * (count - longer)
            pairs = zip(accumulate(values), accumulate(even), strict=True)
            if all(-limit <= a - b <= limit for a, b in pairs):
                self.durations.add(longer, short + 1)
                self.durations.add(count - longer, short)
                return
        self.durations.extend(values)

    def _add_sync(self, run: Run) -> None:
        for number, flags in enumerate(run.flags, self.count + 1):
            if not flags & NOT_SYNC:
                self.sync.append(number)
            else:
                self.all_sync = False


class Progressive:
    """Takes fragments in order, and at the end gives the file. Times in µs since 1970."""

    def __init__(self, from_us: int, to_us: int) -> None:
        self._from_s, self._to_s = Fraction(from_us, 1_000_000), Fraction(to_us, 1_000_000)
        self._tracks: dict[bytes, _Track] = {}
        self._by_number: dict[int, _Track] = {}
        self._clock: _Track | None = None  # the track that tells gaps: pictures, if there are any
        self._clock_end: int | None = None  # where it ended, on the camera's time line
        self._offset = Fraction(0)  # the camera's time less the file's, in s
        self._first_shown: Fraction | None = None
        self._files, self._offsets, self._starts = array("I"), array("Q"), array("Q")
        self._data = 0

    def begin(self, tracks: tuple[TrackHead, ...]) -> None:
        """The next fragments are of these tracks. Raises `MixedError`."""
        self._by_number = {}
        for head in tracks:
            track = self._tracks.get(head.kind)
            if track is None:
                track = self._tracks[head.kind] = _Track(head, [head.entries])
            if head.entries[4:8] != track.head.entries[4:8]:
                raise MixedError(
                    f"from {track.head.entries[4:8].decode('latin-1')}"
                    f" to {head.entries[4:8].decode('latin-1')}"
                )
            if head.timescale != track.head.timescale:
                raise MixedError(f"from {track.head.timescale} to {head.timescale} Hz")
            if head.entries not in track.entries:
                track.entries.append(head.entries)
            track.entry = track.entries.index(head.entries) + 1
            self._by_number[head.id] = track
        self._clock = self._tracks.get(b"vide") or next(iter(self._tracks.values()), None)

    def add(self, file: int, fragment: FragmentHead) -> None:
        """A fragment of file number `file`."""
        if not fragment.runs:
            return
        self._follow(fragment.runs)
        self._files.append(file)
        self._offsets.append(fragment.data)
        self._starts.append(self._data)
        for run in fragment.runs:
            track = self._by_number[run.track]
            dts = run.dts - round(self._offset * track.head.timescale)
            track.add(run, dts, self._data + run.offset - fragment.data)
        self._data += fragment.data_end - fragment.data

    def _follow(self, runs: tuple[Run, ...]) -> None:
        """Keep the file's time going on when the camera's jumps."""
        clock = next((run for run in runs if self._by_number[run.track] is self._clock), None)
        if clock is None:
            return
        scale = self._by_number[clock.track].head.timescale
        if self._clock_end is None or abs(clock.dts - self._clock_end) > GAP_S * scale:
            # By when samples are shown: when the first are decoded is made up in each run anew.
            begin = min(self._shown_s(run) for run in runs)
            self._offset = begin - max(self._ends(), default=Fraction(0))
        self._clock_end = clock.dts + sum(clock.durations)
        if self._first_shown is None:
            self._first_shown = max(self._from_s, self._shown_s(clock)) - self._offset

    def _shown_s(self, run: Run) -> Fraction:
        times = map(int.__add__, accumulate(run.durations, initial=0), run.compositions)
        return Fraction(run.dts + min(times), self._by_number[run.track].head.timescale)

    def _ends(self) -> list[Fraction]:
        return [Fraction(t.pts_end, t.head.timescale) for t in self._tracks.values() if t.count]

    def finish(self) -> Plan | None:
        """The file; None when nothing came."""
        if self._first_shown is None:
            return None
        begin = self._first_shown
        end = max(self._ends())
        end = max(begin, min(end, self._to_s - self._offset))
        described = [
            TrackBoxes(
                track.head,
                track.entries,
                track.start,
                track.count,
                track.durations,
                track.compositions,
                track.sizes,
                None if track.all_sync else track.sync,
                track.chunk_rows,
                track.chunk_offsets,
            )
            for track in self._tracks.values()
            if track.count
        ]
        mdat = (1).to_bytes(4) + b"mdat" + (self._data + _LARGE_MDAT).to_bytes(8)
        ftyp = box(b"ftyp", b"isom", (512).to_bytes(4), b"isomiso2mp41")
        moov = movie(described, begin, end, len(ftyp) + _LARGE_MDAT)
        return Plan(
            ftyp + moov + mdat,
            self._files,
            self._offsets,
            self._starts,
            self._data,
            float(end - begin),
        )
