"""The moov of a progressive MP4 (ISO/IEC 14496-12): sample tables, edit lists, all in 64 bits."""

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby

from ucam.media.boxes import box, full_box
from ucam.storage.playback.heads import TrackHead

MOVIE_SCALE = 90_000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED = 0x55C4  # "und", three letters of five bits each
_LITTLE = sys.byteorder == "little"


@dataclass(slots=True)
class Rows:
    """Values run-length encoded, as stts and ctts want them."""

    counts: "array[int]" = field(default_factory=lambda: array("I"))
    values: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, count: int, value: int) -> None:
        """`count` times the same value."""
        if not count:
            return
        if self.values and self.values[-1] == value:
            self.counts[-1] += count
        else:
            self.counts.append(count)
            self.values.append(value)

    def extend(self, values: "array[int]") -> None:
        """One value after the other."""
        if values.count(values[0]) == len(values):
            self.add(len(values), values[0])
            return
        for value, same in groupby(values):
            self.add(sum(1 for _ in same), value)

    def change_last(self, by: int) -> int:
        """Add to the last single value, which stays at least 0; returns what was added."""
        value = self.values[-1]
        by = max(by, -value)
        if by:
            self.counts[-1] -= 1
            if not self.counts[-1]:
                self.counts.pop()
                self.values.pop()
            self.add(1, value + by)
        return by

    def pack(self) -> bytes:
        """Number of rows, then count and value of each."""
        joined = array("I", bytes(8 * len(self.counts)))
        joined[0::2] = self.counts
        joined[1::2] = array("I", (value & 0xFFFFFFFF for value in self.values))
        return _counted(joined, len(self.counts))


@dataclass(frozen=True, slots=True)
class TrackBoxes:
    """All that a trak says. `start`: its first sample's dts on the movie's time line;
    `sync` None: every sample is one; `chunk_offsets` count from the mdat's content.
    """

    head: TrackHead
    entries: Sequence[bytes]
    start: int
    count: int
    durations: Rows
    compositions: Rows
    sizes: "array[int]"
    sync: "array[int] | None"
    chunk_rows: Sequence[tuple[int, int, int]]
    chunk_offsets: "array[int]"


def movie(tracks: Sequence[TrackBoxes], begin: Fraction, end: Fraction, before: int) -> bytes:
    """The moov of a file that shows [begin, end) of its time line, in s; `before`: bytes of the
    file that are neither moov nor the mdat's content.
    """
    duration = round((end - begin) * MOVIE_SCALE)
    mvhd = full_box(
        b"mvhd",
        1,
        0,
        struct.pack(">QQIQ", 0, 0, MOVIE_SCALE, duration),
        struct.pack(">IH10x", 0x10000, 0x100),
        _MATRIX,
        bytes(24),
        (len(tracks) + 1).to_bytes(4),
    )
    frames = [_frame(number, track, begin, end) for number, track in enumerate(tracks, 1)]
    # Offsets have a fixed width, so the size is known before they are.
    size = 8 + len(mvhd) + sum(map(_size, frames, tracks))
    base = before + size
    return box(b"moov", mvhd, *(_trak(f, t, base) for f, t in zip(frames, tracks, strict=True)))


_Frame = tuple[bytes, bytes, bytes, bytes, bytes]  # tkhd, edts, before minf, before stbl, tables


def _frame(number: int, track: TrackBoxes, begin: Fraction, end: Fraction) -> _Frame:
    """Everything of a trak but its chunk offsets."""
    head = track.head
    duration = round((end - begin) * MOVIE_SCALE)
    tkhd = full_box(
        b"tkhd",
        1,
        3,
        struct.pack(">QQIIQ8xHHHH", 0, 0, number, 0, duration, 0, 0, head.volume, 0),
        _MATRIX,
        struct.pack(">II", *head.size),
    )
    length = sum(c * v for c, v in zip(track.durations.counts, track.durations.values, strict=True))
    mdhd = full_box(
        b"mdhd",
        1,
        0,
        struct.pack(">QQIQHH", 0, 0, head.timescale, length, _UNDETERMINED, 0),
    )
    negative = min(track.compositions.values, default=0) < 0
    tables = [
        full_box(b"stsd", 0, 0, _many(track.entries), *track.entries),
        full_box(b"stts", 0, 0, track.durations.pack()),
    ]
    if any(track.compositions.values):
        tables.append(full_box(b"ctts", int(negative), 0, track.compositions.pack()))
    if track.sync is not None:
        tables.append(full_box(b"stss", 0, 0, _counted(track.sync, len(track.sync))))
    rows = array("I", (number for row in track.chunk_rows for number in row))
    tables.append(full_box(b"stsc", 0, 0, _counted(rows, len(track.chunk_rows))))
    tables.append(full_box(b"stsz", 0, 0, bytes(4), _counted(track.sizes, track.count)))
    return (
        tkhd,
        _edits(track, begin, end),
        mdhd + head.hdlr,
        head.media_header + head.dinf,
        b"".join(tables),
    )


def _many(entries: Sequence[bytes]) -> bytes:
    return len(entries).to_bytes(4)


def _edits(track: TrackBoxes, begin: Fraction, end: Fraction) -> bytes:
    """Which part of the track is shown: an empty edit while it has nothing, then [begin, end)."""
    scale = track.head.timescale
    first = round(begin * scale) - track.start
    edits = b""
    shown = round((end - begin) * MOVIE_SCALE)
    count = 1
    if first < 0:
        empty = min(shown, round(Fraction(-first, scale) * MOVIE_SCALE))
        edits = struct.pack(">QqI", empty, -1, 0x10000)
        shown, first, count = shown - empty, 0, 2
    edits += struct.pack(">QqI", shown, first, 0x10000)
    return box(b"edts", full_box(b"elst", 1, 0, count.to_bytes(4), edits))


def _size(frame: _Frame, track: TrackBoxes) -> int:
    heads = 4 * 8  # trak, mdia, minf, stbl
    return heads + sum(map(len, frame)) + 16 + 8 * len(track.chunk_offsets)


def _trak(frame: _Frame, track: TrackBoxes, base: int) -> bytes:
    tkhd, edts, before_minf, before_stbl, tables = frame
    offsets = array("Q", (base + offset for offset in track.chunk_offsets))
    co64 = full_box(b"co64", 0, 0, _counted(offsets, len(offsets)))
    minf = box(b"minf", before_stbl, box(b"stbl", tables, co64))
    return box(b"trak", tkhd, edts, box(b"mdia", before_minf, minf))


def _counted(values: "array[int]", count: int) -> bytes:
    """A count and big-endian values; the array is given back as it was."""
    if not _LITTLE:
        return count.to_bytes(4) + values.tobytes()
    values.byteswap()
    packed = values.tobytes()
    values.byteswap()
    return count.to_bytes(4) + packed
