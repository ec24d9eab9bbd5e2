"""What a chunk's own boxes say of its tracks and samples, whatever codecs it holds.

Nothing here knows a codec: sample entries are carried as they stand in the chunk's moov. Rows of
samples are taken apart in bulk, as arrays, because an export of a day has millions of them.
"""

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from ucam.media import ContainerError
from ucam.media.boxes import Box, boxes, children, descend

MOST_MOOF_BYTES = 1 << 20
MOST_SAMPLES = MOST_MOOF_BYTES // 4  # of a run; rows need room, unless none say anything
HEAD_BYTES = 4096  # of a fragment; a longer one is read again
# trun (ISO/IEC 14496-12 §8.8.8): what stands before the rows, and what a row holds.
_DATA_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_DURATION, _SIZE, _FLAGS, _COMPOSITION = 0x100, 0x200, 0x400, 0x800
# tfhd (§8.8.7)
_BASE_OFFSET, _ENTRY, _DEFAULTS = 0x1, 0x2, (0x8, 0x10, 0x20)
NOT_SYNC = 0x00010000
_LITTLE = sys.byteorder == "little"


@dataclass(frozen=True, slots=True)
class TrackHead:
    """One track of a chunk. The bytes are whole boxes, but `entries`: the sample entries.

    `defaults`: duration, size and flags of samples that don't say (trex).
    """

    id: int
    kind: bytes  # b"vide" or b"soun"
    timescale: int
    entries: bytes
    hdlr: bytes
    media_header: bytes  # vmhd or smhd
    dinf: bytes
    volume: int
    size: tuple[int, int]  # of the picture, 16.16
    defaults: tuple[int, int, int]


class Run(NamedTuple):
    """Samples of one track that lie one behind the other. `offset`: in the file."""

    track: int
    offset: int
    dts: int
    durations: "array[int]"
    sizes: "array[int]"
    flags: "array[int]"
    compositions: "array[int]"  # signed


class FragmentHead(NamedTuple):
    """One moof and where the content of its mdat lies in the file."""

    runs: tuple[Run, ...]
    data: int
    data_end: int
    end: int


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Boxes that are missing, or shorter than what should be in them."""
    try:
        yield
    except (KeyError, IndexError, struct.error) as error:
        raise ContainerError(f"{what} is damaged: {error}") from error


def read_tracks(init: bytes) -> tuple[TrackHead, ...]:
    """The tracks of an init segment. Raises `ContainerError`."""
    with _told("the init segment"):
        return _tracks(memoryview(init))


def _tracks(view: memoryview) -> tuple[TrackHead, ...]:
    moov = next((found for found in boxes(view, 0, len(view)) if found.kind == b"moov"), None)
    if moov is None:
        raise ContainerError("no moov")
    defaults = {}
    for found in _all(view, descend(view, moov, b"mvex"), b"trex"):
        track, _, *values = struct.unpack_from(">5I", view, found.body + 4)
        defaults[track] = (values[0], values[1], values[2])
    return tuple(_track(view, trak, defaults) for trak in _all(view, moov, b"trak"))


def _all(view: memoryview, parent: Box, kind: bytes) -> list[Box]:
    return [found for found in boxes(view, parent.body, parent.end) if found.kind == kind]


def _track(view: memoryview, trak: Box, defaults: dict[int, tuple[int, int, int]]) -> TrackHead:
    def whole(found: Box) -> bytes:
        return bytes(view[found.start : found.end])

    tkhd = descend(view, trak, b"tkhd")
    mdia = children(view, descend(view, trak, b"mdia"))
    minf = children(view, mdia[b"minf"])
    stsd = descend(view, minf[b"stbl"], b"stsd")
    hdlr = mdia[b"hdlr"]
    (track,) = struct.unpack_from(">I", view, tkhd.body + (20 if view[tkhd.body] else 12))
    at = mdia[b"mdhd"].body
    (timescale,) = struct.unpack_from(">I", view, at + (20 if view[at] else 12))
    (volume,) = struct.unpack_from(">H", view, tkhd.end - 48)
    size: tuple[int, int] = struct.unpack_from(">II", view, tkhd.end - 8)
    kind = bytes(view[hdlr.body + 8 : hdlr.body + 12])
    header = minf.get(b"vmhd") or minf.get(b"smhd")
    if header is None or not timescale:
        raise ContainerError(f"a track of kind {kind!r}")
    return TrackHead(
        track,
        kind,
        timescale,
        bytes(view[stsd.body + 8 : stsd.end]),
        whole(hdlr),
        whole(header),
        whole(minf[b"dinf"]),
        volume,
        size,
        defaults.get(track, (0, 0, 0)),
    )


def read_fragment(data: bytes, at: int, tracks: tuple[TrackHead, ...]) -> FragmentHead | None:
    """The fragment whose boxes begin with `data`, which lies at `at` in its file; None when the
    head of its mdat is not in `data` (give more). Raises `ContainerError`.
    """
    view = memoryview(data)
    moof: Box | None = None
    position = 0
    while position + 16 <= len(data):
        size, kind = struct.unpack_from(">I4s", view, position)
        body = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", view, body)
            body += 8
        if size < body - position:
            raise ContainerError(f"a box of {size} bytes at byte {at + position}")
        if kind == b"mdat":
            if moof is None:
                raise ContainerError(f"an mdat without moof at byte {at + position}")
            with _told(f"the moof at byte {at + moof.start}"):
                runs = tuple(_runs(view, moof, at, tracks))
            return FragmentHead(runs, at + body, at + position + size, at + position + size)
        if kind == b"moof":
            if size > MOST_MOOF_BYTES:
                raise ContainerError(f"a moof of {size} bytes at byte {at + position}")
            if position + size > len(data):
                return None
            moof = Box(kind, position, body, position + size)
        position += size
    return None


def fragment_at(descriptor: int, position: int, tracks: tuple[TrackHead, ...]) -> FragmentHead:
    """The fragment that begins at a byte of an open file. Blocks. Raises `OSError` or
    `ContainerError`.
    """
    size = HEAD_BYTES
    while size <= 2 * MOST_MOOF_BYTES:
        found = read_fragment(os.pread(descriptor, size, position), position, tracks)
        if found is not None:
            return found
        size *= 4
    raise ContainerError(f"no fragment at byte {position}")


def _runs(view: memoryview, moof: Box, at: int, tracks: tuple[TrackHead, ...]) -> list[Run]:
    by_id = {track.id: track for track in tracks}
    found = []
    for traf in _all(view, moof, b"traf"):
        inside = children(view, traf)
        if b"tfhd" not in inside or b"tfdt" not in inside:
            raise ContainerError(f"a traf without tfhd or tfdt at byte {at + traf.start}")
        number, defaults = _header(view, inside[b"tfhd"], by_id)
        tfdt = inside[b"tfdt"].body
        (dts,) = struct.unpack_from(">Q" if view[tfdt] else ">I", view, tfdt + 4)
        for trun in _all(view, traf, b"trun"):
            run = _run(view, trun, number, dts, defaults, at + moof.start)
            dts += sum(run.durations)
            found.append(run)
    return found


def _header(
    view: memoryview, tfhd: Box, tracks: dict[int, TrackHead]
) -> tuple[int, tuple[int, int, int]]:
    """Track number, and duration, size, flags of samples that don't say."""
    flags, number = struct.unpack_from(">II", view, tfhd.body)
    if number not in tracks or flags & _BASE_OFFSET:
        raise ContainerError(f"a fragment of track {number}")
    position = tfhd.body + 8 + (4 if flags & _ENTRY else 0)
    values = list(tracks[number].defaults)
    for slot, flag in enumerate(_DEFAULTS):
        if flags & flag:
            (values[slot],) = struct.unpack_from(">I", view, position)
            position += 4
    return number, (values[0], values[1], values[2])


def _run(
    view: memoryview,
    trun: Box,
    track: int,
    dts: int,
    defaults: tuple[int, int, int],
    moof_at: int,
) -> Run:
    flags, count = struct.unpack_from(">II", view, trun.body)
    position = trun.body + 8
    if not flags & _DATA_OFFSET or not count:
        raise ContainerError(f"a trun that doesn't say where its {count} samples are")
    (offset,) = struct.unpack_from(">i", view, position)
    position += 4
    first_flags = None
    if flags & _FIRST_FLAGS:
        (first_flags,) = struct.unpack_from(">I", view, position)
        position += 4
    if count > MOST_SAMPLES:
        raise ContainerError(f"a trun of {count} samples")
    columns = [bit for bit in (_DURATION, _SIZE, _FLAGS, _COMPOSITION) if flags & bit]
    if position + 4 * len(columns) * count != trun.end:
        raise ContainerError(f"a trun of {count} samples in {trun.end - trun.body} bytes")
    rows: array[int] = array("I", bytes(view[position : trun.end]))
    if _LITTLE:
        rows.byteswap()

    def column(bit: int, default: int) -> "array[int]":
        if bit in columns:
            return rows[columns.index(bit) :: len(columns)]
        same: array[int] = array("I", [default]) * count
        return same

    all_flags = column(_FLAGS, defaults[2])
    if first_flags is not None:
        all_flags[0] = first_flags
    return Run(
        track,
        moof_at + offset,
        dts,
        column(_DURATION, defaults[0]),
        column(_SIZE, defaults[1]),
        all_flags,
        array("i", column(_COMPOSITION, 0).tobytes()),
    )
