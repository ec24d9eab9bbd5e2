"""Reading back the files that `fmp4` writes, also those a power cut has shortened."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from ucam.media.avcc import parse_avcc
from ucam.media.boxes import Box, boxes, children, descend
from ucam.media.errors import ContainerError
from ucam.media.fmp4 import RUN_MARK_UUID, RunMark
from ucam.media.track import Track, VideoTrack

_TRUN_FLAGS = 0x01000F01
_SAMPLE_ENTRY = 78  # bytes of a visual sample entry before its boxes
_NOT_SYNC = 0x00010000
_ROW = struct.Struct(">IIIi")


class Fragment(NamedTuple):
    """One whole fragment of a file. `offset`, `size`: bytes, from its prft to its mdat's end.

    `pts_90k`: its smallest presentation time. `keyframe`: its first sample is one.
    `samples`: how many access units.
    """

    offset: int
    size: int
    dts_90k: int
    duration_90k: int
    pts_90k: int
    keyframe: bool
    samples: int


class StoredSample(NamedTuple):
    """One access unit of a file: where its NAL units (length-prefixed) lie, and its times."""

    offset: int
    size: int
    dts_90k: int
    pts_90k: int
    keyframe: bool


@dataclass(frozen=True, slots=True)
class ChunkScan:
    """What a file holds. `init_length`: bytes of ftyp and moov (they start the file).

    `valid_length`: where to cut it: the end of the last whole fragment (of the init segment and
    the index box behind it, when there is no fragment). `index`: offset and size of the place
    reserved for the sidx (free, or sidx and free), None if there is none.
    `indexed`: a sidx stands there.
    """

    track: Track
    run: RunMark | None
    init_length: int
    index: tuple[int, int] | None
    indexed: bool
    fragments: tuple[Fragment, ...]
    valid_length: int


def scan(
    data: bytes | bytearray | memoryview,
    *,
    max_fragments: int = 100_000,
    max_moov: int = 1 << 20,
    max_samples: int = 10_000,
) -> ChunkScan:
    """Read a file (a `memoryview` of an mmap will do: only heads are touched, and the samples of
    the last fragment). A cut or garbled tail is left out: an unfinished write may leave zeros
    behind the last synced fragment. Raises `MediaError`, and nothing else, when there is no whole
    init segment, or it is none of ours.
    """
    with memoryview(data) as view:
        track, run, init_length = _read_init(view, max_moov)
        index, indexed, fragments = None, False, list[Fragment]()
        reserved_end = begin = init_length
        moof: Box | None = None
        for here in boxes(view, init_length, len(view)):
            if here.start == reserved_end and here.kind in (b"free", b"sidx"):
                indexed = indexed or here.kind == b"sidx"
                reserved_end = begin = here.end
                index = (init_length, reserved_end - init_length)
            elif here.kind == b"moof":
                moof = here
            elif here.kind == b"mdat":
                found = _fragment(view, begin, moof, here, max_samples)
                if found is None or (fragments and found.dts_90k < fragments[-1].dts_90k):
                    break
                if len(fragments) == max_fragments:
                    raise ContainerError(f"more than {max_fragments} fragments")
                fragments.append(found)
                begin, moof = here.end, None
        while fragments and not _intact(view, fragments[-1]):
            fragments.pop()
        last = fragments[-1] if fragments else None
        return ChunkScan(
            track=track,
            run=run,
            init_length=init_length,
            index=index,
            indexed=indexed,
            fragments=tuple(fragments),
            valid_length=last.offset + last.size if last else reserved_end,
        )


def samples(data: bytes | bytearray | memoryview, fragment: Fragment) -> list[StoredSample]:
    """The access units of a fragment that `scan` found, in decode order."""
    with memoryview(data) as view:
        end = fragment.offset + fragment.size
        inside = {found.kind: found for found in boxes(view, fragment.offset, end)}
        offset, dts_90k = inside[b"mdat"].body, fragment.dts_90k
        found = []
        for duration, size, flags, composition in _rows(view, inside[b"moof"]):
            keyframe = not flags & _NOT_SYNC
            found.append(StoredSample(offset, size, dts_90k, dts_90k + composition, keyframe))
            offset, dts_90k = offset + size, dts_90k + duration
        return found


def _read_init(view: memoryview, max_moov: int) -> tuple[Track, RunMark | None, int]:
    start = boxes(view, 0, min(len(view), max_moov))
    ftyp, moov = next(start, None), next(start, None)
    if ftyp is None or ftyp.kind != b"ftyp" or moov is None or moov.kind != b"moov":
        raise ContainerError("the file does not start with a whole ftyp and moov")
    stsd = descend(view, moov, b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    entry = children(view, stsd, skip=8).get(b"avc1")
    if entry is None:
        raise ContainerError("no H.264 track in the moov")
    avcc = children(view, entry, skip=_SAMPLE_ENTRY).get(b"avcC")
    if avcc is None:
        raise ContainerError("an avc1 without avcC")
    track = VideoTrack.h264(parse_avcc(bytes(view[avcc.body : avcc.end])))
    return track, _read_run(view, children(view, moov).get(b"uuid")), moov.end


def _read_run(view: memoryview, uuid: Box | None) -> RunMark | None:
    if uuid is None or bytes(view[uuid.body : uuid.body + 16]) != RUN_MARK_UUID:
        return None
    content = bytes(view[uuid.body + 16 : uuid.end])
    if len(content) < 9 or not content[8:].isascii():
        raise ContainerError("a broken run mark")
    return RunMark(content[8:].decode("ascii"), int.from_bytes(content[:8]))


def _fragment(
    view: memoryview, begin: int, moof: Box | None, mdat: Box, max_samples: int
) -> Fragment | None:
    """What moof and mdat hold; None when they are not what `fmp4.fragment` writes."""
    if moof is None or moof.end != mdat.start:
        return None
    try:
        traf = children(view, descend(view, moof, b"traf"))
        tfdt, trun = traf.get(b"tfdt"), traf.get(b"trun")
    except ContainerError:
        return None
    if tfdt is None or trun is None or tfdt.end - tfdt.body != 12 or trun.end - trun.body < 28:
        return None
    flags, count, offset = struct.unpack_from(">IIi", view, trun.body)
    if flags != _TRUN_FLAGS or not 1 <= count <= max_samples or offset != mdat.body - moof.start:
        return None
    if trun.end - trun.body != 12 + count * _ROW.size:
        return None
    (dts_90k,) = struct.unpack_from(">Q", view, tfdt.body + 4)
    rows = list(_ROW.iter_unpack(view[trun.body + 12 : trun.end]))
    if sum(row[1] for row in rows) != mdat.end - mdat.body:
        return None
    elapsed, pts_90k = 0, dts_90k + rows[0][3]
    for duration, _, _, composition in rows:
        pts_90k = min(pts_90k, dts_90k + elapsed + composition)
        elapsed += duration
    keyframe = not rows[0][2] & _NOT_SYNC
    return Fragment(begin, mdat.end - begin, dts_90k, elapsed, pts_90k, keyframe, count)


def _rows(view: memoryview, moof: Box) -> list[tuple[int, int, int, int]]:
    trun = descend(view, moof, b"traf", b"trun")
    return list(_ROW.iter_unpack(view[trun.body + 12 : trun.end]))


def _intact(view: memoryview, fragment: Fragment) -> bool:
    """Whether each sample is whole NAL units, end to end; zeros are not."""
    for sample in samples(view, fragment):
        position, end = sample.offset, sample.offset + sample.size
        while position + 4 < end:
            (length,) = struct.unpack_from(">I", view, position)
            if not length:
                return False
            position += 4 + length
        if position != end or not sample.size:
            return False
    return True
