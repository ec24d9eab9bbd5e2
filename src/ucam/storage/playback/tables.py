"""Where the fragments of a closed chunk lie: read from its sidx, kept in a bounded cache."""

import os
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from ucam.media.boxes import boxes
from ucam.media.clock import microseconds
from ucam.storage.scanning import scan_file
from ucam.storage.writer import Piece

# ftyp, moov and the sidx of a minute are 2.5 KB; of the longest chunk 50 KB.
HEAD_BYTES = 64 * 1024
MOST_CACHED_PIECES = 400_000  # about 60 MB, a day of 4 cameras; the least recently used go
_FIXED = struct.Struct(">IIIQQHH")  # version and flags, id, timescale, pts, offset, count
_ROW = struct.Struct(">III")
_SYNC = 0x80000000


@dataclass(frozen=True, slots=True)
class Table:
    """A chunk's init segment (its first `init_length` bytes) and fragments."""

    init_length: int
    pieces: tuple[Piece, ...]


def read_table(path: Path, start_us: int) -> Table:
    """The table of a closed chunk. Blocks. Raises `OSError` or `MediaError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        table = _from_sidx(os.pread(descriptor, HEAD_BYTES, 0), start_us)
        return table or _from_fragments(descriptor, start_us)
    finally:
        os.close(descriptor)


def _from_sidx(head: bytes, start_us: int) -> Table | None:
    view = memoryview(head)
    init_length = 0
    for box in boxes(view, 0, len(view)):
        if box.kind == b"moov":
            init_length = box.end
        elif box.kind == b"sidx" and init_length:
            return Table(init_length, tuple(_rows(view[box.body : box.end], box.end, start_us)))
    return None


def _rows(sidx: memoryview, end: int, start_us: int) -> list[Piece]:
    """ISO/IEC 14496-12 §8.16.3, version 1; durations in 1/90000 s as `media.fmp4` writes them."""
    _, _, _, pts, first_offset, _, count = _FIXED.unpack_from(sidx)
    offset = end + first_offset
    pieces = []
    for position in range(_FIXED.size, _FIXED.size + count * _ROW.size, _ROW.size):
        size, duration, sap = _ROW.unpack_from(sidx, position)
        begin_us = max(0, microseconds(pts) - start_us)
        pieces.append(Piece(offset, size, begin_us, microseconds(duration), bool(sap & _SYNC)))
        offset, pts = offset + size, pts + duration
    return pieces


def _from_fragments(descriptor: int, start_us: int) -> Table:
    held = scan_file(descriptor, os.fstat(descriptor).st_size)
    return Table(
        held.init_length,
        tuple(
            Piece(
                fragment.offset,
                fragment.size,
                max(0, microseconds(fragment.pts_90k) - start_us),
                microseconds(fragment.duration_90k),
                fragment.keyframe,
            )
            for fragment in held.fragments
        ),
    )


class TableCache:
    """Tables by chunk id, the least recently used forgotten first."""

    def __init__(self, most_pieces: int = MOST_CACHED_PIECES) -> None:
        self._most_pieces = most_pieces
        self._pieces = 0
        self._tables: OrderedDict[int, Table] = OrderedDict()

    def get(self, chunk: int) -> Table | None:
        """A table, if it is known."""
        table = self._tables.get(chunk)
        if table is not None:
            self._tables.move_to_end(chunk)
        return table

    def put(self, chunk: int, table: Table) -> None:
        """Keep a table."""
        if chunk in self._tables:
            return
        self._tables[chunk] = table
        self._pieces += len(table.pieces)
        while self._pieces > self._most_pieces and len(self._tables) > 1:
            _, gone = self._tables.popitem(last=False)
            self._pieces -= len(gone.pieces)

    def forget_before(self, chunk: int) -> None:
        """No chunk that is older is there any more (or few: protected ones are read again)."""
        for old in [known for known in self._tables if known < chunk]:
            self._pieces -= len(self._tables.pop(old).pieces)
