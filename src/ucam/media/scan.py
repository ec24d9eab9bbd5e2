"""Reading back the files that `fmp4` writes, also those a power cut has shortened."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from ucam.media.boxes import Box, boxes, children, descend
from ucam.media.errors import ContainerError
from ucam.media.fmp4 import AUDIO_ID, RUN_MARK_UUID, TRACK_ID, RunMark
from ucam.media.sample_entries import read_sample_entry
from ucam.media.track import AudioTrack, Track, codec_strings

_TRUN_FLAGS = 0x01000F01
_NOT_SYNC = 0x00010000
_ROW = struct.Struct(">IIIi")


class Fragment(NamedTuple):
    """One whole fragment of a file. `offset`, `size`: bytes, from its prft to its mdat's end.

    `pts_90k`: its smallest presentation time. `keyframe`: its first sample is one.
    `samples`: how many access units. `audio`: how many more of the audio beside its video.
    """

    offset: int
    size: int
    dts_90k: int
    duration_90k: int
    pts_90k: int
    keyframe: bool
    samples: int
    audio: int = 0


class StoredSample(NamedTuple):
    """One access unit of a file: where its data (of video: NAL units, length-prefixed) lie, and
    its times.
    """

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
    `indexed`: a sidx stands there. `audio`: the track beside the video.
    """

    track: Track
    run: RunMark | None
    init_length: int
    index: tuple[int, int] | None
    indexed: bool
    fragments: tuple[Fragment, ...]
    valid_length: int
    audio: AudioTrack | None = None

    @property
    def codec_strings(self) -> str:
        """As in RFC 6381, of all tracks, with commas."""
        return codec_strings(self.track, self.audio)


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
        track, audio, run, init_length = _read_init(view, max_moov)
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
        while fragments and not _intact(view, fragments[-1], track):
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
            audio=audio,
        )


def samples(data: bytes | bytearray | memoryview, fragment: Fragment) -> list[StoredSample]:
    """The access units of a fragment that `scan` found, in decode order."""
    return _stored(data, fragment, TRACK_ID)


def audio_samples(data: bytes | bytearray | memoryview, fragment: Fragment) -> list[StoredSample]:
    """The audio beside the video of a fragment that `scan` found."""
    return _stored(data, fragment, AUDIO_ID)


def _stored(
    data: bytes | bytearray | memoryview, fragment: Fragment, track: int
) -> list[StoredSample]:
    with memoryview(data) as view:
        end = fragment.offset + fragment.size
        inside = {found.kind: found for found in boxes(view, fragment.offset, end)}
        moof = inside[b"moof"]
        run = next((run for run in _runs(view, moof) if run.track == track), None)
        if run is None:
            return []
        offset, dts_90k = moof.start + run.offset, run.dts_90k
        found = []
        for duration, size, flags, composition in run.rows:
            keyframe = not flags & _NOT_SYNC
            found.append(StoredSample(offset, size, dts_90k, dts_90k + composition, keyframe))
            offset, dts_90k = offset + size, dts_90k + duration
        return found


def _read_init(
    view: memoryview, max_moov: int
) -> tuple[Track, AudioTrack | None, RunMark | None, int]:
    start = boxes(view, 0, min(len(view), max_moov))
    ftyp, moov = next(start, None), next(start, None)
    if ftyp is None or ftyp.kind != b"ftyp" or moov is None or moov.kind != b"moov":
        raise ContainerError("the file does not start with a whole ftyp and moov")
    tracks = [
        read_sample_entry(view, descend(view, trak, b"mdia", b"minf", b"stbl", b"stsd"))
        for trak in boxes(view, moov.body, moov.end)
        if trak.kind == b"trak"
    ]
    run = _read_run(view, children(view, moov).get(b"uuid"))
    match tracks:
        case [track]:
            return track, None, run, moov.end
        case [track, AudioTrack() as audio]:
            return track, audio, run, moov.end
    raise ContainerError(f"{len(tracks)} tracks: not one of video, one of audio, or both")


def _read_run(view: memoryview, uuid: Box | None) -> RunMark | None:
    if uuid is None or bytes(view[uuid.body : uuid.body + 16]) != RUN_MARK_UUID:
        return None
    content = bytes(view[uuid.body + 16 : uuid.end])
    if len(content) < 9 or not content[8:].isascii():
        raise ContainerError("a broken run mark")
    return RunMark(content[8:].decode("ascii"), int.from_bytes(content[:8]))


class _Run(NamedTuple):
    """One traf. `offset`: of its data from the moof's start. `rows`: duration, size, flags and
    composition of each sample.
    """

    track: int
    dts_90k: int
    offset: int
    rows: list[tuple[int, int, int, int]]

    @property
    def size(self) -> int:
        """Bytes of its samples."""
        return sum(row[1] for row in self.rows)


def _runs(view: memoryview, moof: Box) -> list[_Run]:
    """What a moof of `fmp4.fragment` holds; raises `ContainerError` when it is another's."""
    found = []
    for traf in boxes(view, moof.body, moof.end):
        if traf.kind != b"traf":
            continue
        inside = children(view, traf)
        tfhd, tfdt, trun = (inside.get(kind) for kind in (b"tfhd", b"tfdt", b"trun"))
        if tfhd is None or tfdt is None or trun is None:
            raise ContainerError(f"a traf at byte {traf.start} without tfhd, tfdt or trun")
        sizes = tfhd.end - tfhd.body, tfdt.end - tfdt.body
        if sizes != (8, 12) or trun.end - trun.body < 12 + _ROW.size:
            raise ContainerError(f"a traf at byte {traf.start} of another kind")
        flags, count, offset = struct.unpack_from(">IIi", view, trun.body)
        if flags != _TRUN_FLAGS or trun.end - trun.body != 12 + count * _ROW.size:
            raise ContainerError(f"a trun at byte {trun.start} of another kind")
        (track,) = struct.unpack_from(">I", view, tfhd.body + 4)
        (dts_90k,) = struct.unpack_from(">Q", view, tfdt.body + 4)
        rows = list(_ROW.iter_unpack(view[trun.body + 12 : trun.end]))
        found.append(_Run(track, dts_90k, offset, rows))
    return found


def _fragment(
    view: memoryview, begin: int, moof: Box | None, mdat: Box, max_samples: int
) -> Fragment | None:
    """What moof and mdat hold; None when they are not what `fmp4.fragment` writes."""
    if moof is None or moof.end != mdat.start:
        return None
    try:
        runs = _runs(view, moof)
    except ContainerError:
        return None
    if [run.track for run in runs] not in ([TRACK_ID], [TRACK_ID, AUDIO_ID]):
        return None
    offset = mdat.body - moof.start
    for run in runs:
        if run.offset != offset or len(run.rows) > max_samples:
            return None
        offset += run.size
    if offset != mdat.end - moof.start:
        return None
    main = runs[0]
    elapsed, pts_90k = 0, main.dts_90k + main.rows[0][3]
    for duration, _, _, composition in main.rows:
        pts_90k = min(pts_90k, main.dts_90k + elapsed + composition)
        elapsed += duration
    return Fragment(
        offset=begin,
        size=mdat.end - begin,
        dts_90k=main.dts_90k,
        duration_90k=elapsed,
        pts_90k=pts_90k,
        keyframe=not main.rows[0][2] & _NOT_SYNC,
        samples=len(main.rows),
        audio=len(runs[1].rows) if len(runs) > 1 else 0,
    )


def _intact(view: memoryview, fragment: Fragment, track: Track) -> bool:
    """Whether nothing of it is the zeros that a power cut leaves behind."""
    sound = audio_samples(view, fragment)
    pictures = samples(view, fragment)
    if isinstance(track, AudioTrack):
        sound, pictures = pictures, []
    return all(_is_nal_units(view, each) for each in pictures) and all(
        each.size == 1 or any(view[each.offset : each.offset + each.size]) for each in sound
    )


def _is_nal_units(view: memoryview, sample: StoredSample) -> bool:
    """Whether a sample is whole NAL units, end to end; zeros are not."""
    position, end = sample.offset, sample.offset + sample.size
    while position + 4 < end:
        (length,) = struct.unpack_from(">I", view, position)
        if not length:
            return False
        position += 4 + length
    return position == end and sample.size > 0
