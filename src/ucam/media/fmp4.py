"""Writing fragmented MP4 (ISO/IEC 14496-12), a whole fragment's head at once.

A chunk file: `init_segment` + `free_for_sidx` + (`fragment` + samples' data)…; when it is closed,
`sidx` is written over the free box. Times are UTC × 90000: give `DecodeTimes` the pts
`clock.ticks(utc_us)`. A file has one track, of video or of audio; a second one, of audio, may
stand beside video: then each fragment is one `moof` with a `traf` for each, and one `mdat` with
all video before all audio.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ucam.media.boxes import box, full_box
from ucam.media.clock import TICKS_PER_SECOND, to_ntp64
from ucam.media.errors import ContainerError
from ucam.media.sample_entries import sample_entry
from ucam.media.track import AudioTrack, Track, VideoTrack

TRACK_ID, AUDIO_ID = 1, 2
# The run mark's box: a name of our own (§11.1 wants a UUID), never given to anything else.
RUN_MARK_UUID = bytes.fromhex("b30235a15d8642bab548973cb67c117a")
MAX_RUN_ID = 64

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SIDX_FIXED = 40
_SIDX_ENTRY = 12
# sample_flags (§8.8.3.1): depends on no other / depends on others and is no sync sample.
_SYNC, _NOT_SYNC = 0x02000000, 0x01010000
_DEFAULT_BASE_IS_MOOF = 0x020000
# data offset; each sample's duration, size, flags, composition offset
_TRUN_FLAGS = 0x000001 | 0x000100 | 0x000200 | 0x000400 | 0x000800
_TRUN_SAMPLE = struct.Struct(">IIIi")
# A fragment's head: 32 bytes of prft, 24 of moof and mfhd, then per track traf to data offset.
_PRFT = struct.Struct(">I4sIIQQ")
_MOOF = struct.Struct(">I4s I4sII")
_TRAF = struct.Struct(">I4s I4sII I4sIQ I4sIIi")


@dataclass(frozen=True, slots=True)
class RunMark:
    """Which run a file belongs to and the number of its first access unit.

    `run`: at most 64 ASCII characters. `first_number`: 0 … 2⁶⁴−1.
    """

    run: str
    first_number: int


class Sample(NamedTuple):
    """One access unit in a fragment. `composition_90k` is pts − dts, at least 0 but for a stream
    that reorders more than it says.
    """

    size: int
    duration_90k: int
    composition_90k: int
    keyframe: bool


class IndexEntry(NamedTuple):
    """One fragment in the sidx. `size`: prft, moof and mdat in bytes."""

    size: int
    duration_90k: int
    keyframe: bool


class Beside(NamedTuple):
    """A fragment's audio beside its video: `base_dts_90k` is the dts of its first sample."""

    samples: Sequence[Sample]
    base_dts_90k: int

    @property
    def last_90k(self) -> int:
        """When its last sample begins."""
        return self.base_dts_90k + sum(sample.duration_90k for sample in self.samples[:-1])


def init_segment(
    track: Track, run: RunMark | None = None, *, audio: AudioTrack | None = None
) -> bytes:
    """`ftyp` and `moov`; the run mark in a `uuid` box at the moov's end. `audio`: beside video.
    Raises `MediaError`.
    """
    ftyp = box(b"ftyp", b"iso6", bytes(4), b"iso6cmfcmp41dash")
    mvhd = full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">IIII", 0, 0, 1000, 0),
        struct.pack(">IH10x", 0x10000, 0x100),
        _MATRIX,
        bytes(24),
        (AUDIO_ID + 1).to_bytes(4),
    )
    tracks = [(TRACK_ID, track)] + ([] if audio is None else [(AUDIO_ID, audio)])
    traks = [_trak(number, each) for number, each in tracks]
    extends = [
        full_box(b"trex", 0, 0, struct.pack(">5I", number, 1, 0, 0, 0)) for number, _ in tracks
    ]
    mark = b"" if run is None else _run_mark(run)
    return ftyp + box(b"moov", mvhd, *traks, box(b"mvex", *extends), mark)


def free_for_sidx(fragments: int) -> bytes:
    """A `free` box that a sidx of so many fragments (at least one, at most 65,535) fits into."""
    if not 1 <= fragments <= 0xFFFF:
        raise ContainerError(f"a sidx of {fragments} fragments")
    return box(b"free", bytes(_SIDX_FIXED + _SIDX_ENTRY * fragments - 8))


def sidx(entries: Sequence[IndexEntry], earliest_pts_90k: int, size: int) -> bytes:
    """A `sidx`, and a `free` box behind it, of exactly `size` bytes (the length of what
    `free_for_sidx` gave). More fragments than fit are joined, neighbours first.
    `earliest_pts_90k`: the smallest pts of the file. Raises `ContainerError`.
    """
    room = (size - _SIDX_FIXED) // _SIDX_ENTRY
    if not entries or room < 1:
        raise ContainerError(f"a sidx of {len(entries)} fragments in {size} bytes")
    while len(entries) > room:
        entries = [_joined(entries[i : i + 2]) for i in range(0, len(entries), 2)]
    rest = size - _SIDX_FIXED - _SIDX_ENTRY * len(entries)
    rows = bytearray()
    for entry in entries:
        if entry.size >> 31 or entry.duration_90k >> 32:
            raise ContainerError(f"{entry} is too large for a sidx")
        # A subsegment that starts with a sync sample of type 1 (§8.16.3), or one that may not.
        start = 0x90000000 if entry.keyframe else 0
        rows += struct.pack(">III", entry.size, entry.duration_90k, start)
    head = struct.pack(
        ">IIQQHH", TRACK_ID, TICKS_PER_SECOND, earliest_pts_90k, rest, 0, len(entries)
    )
    index = full_box(b"sidx", 1, 0, head, bytes(rows))
    return index + (box(b"free", bytes(rest - 8)) if rest else b"")


def fragment(
    sequence: int,
    samples: Sequence[Sample],
    base_dts_90k: int,
    capture_utc_us: int,
    audio: Beside | None = None,
) -> bytes:
    """`prft`, `moof` and the `mdat` header: everything of a fragment but its samples' data.

    `sequence`: 1, 2, … within the file. `base_dts_90k`: dts of the first sample, UTC × 90000
    (tfdt version 1). `capture_utc_us`: capture time of the first sample, for prft. `audio`: its
    data comes behind all of the video's.
    Write it and the samples' data with one `writev`. Raises `ContainerError`.
    """
    tracks = [(TRACK_ID, samples, base_dts_90k)]
    if audio is not None:
        tracks.append((AUDIO_ID, audio.samples, audio.base_dts_90k))
    data_size = sum(sample.size for _, each, _ in tracks for sample in each)
    if not all(each for _, each, _ in tracks) or data_size + 8 > 0x7FFFFFFF:
        raise ContainerError(f"a fragment of {len(samples)} samples and {data_size} bytes")
    moof_size = _MOOF.size + sum(
        _TRAF.size + _TRUN_SAMPLE.size * len(each) for _, each, _ in tracks
    )
    try:
        prft = _PRFT.pack(
            32, b"prft", 0x01000000, TRACK_ID, to_ntp64(capture_utc_us),
            base_dts_90k + samples[0].composition_90k,
        )  # fmt: skip
        parts = [prft, _MOOF.pack(moof_size, b"moof", 16, b"mfhd", 0, sequence)]
        offset = moof_size + 8
        for number, each, dts_90k in tracks:
            parts += _traf(number, each, dts_90k, offset)
            offset += sum(sample.size for sample in each)
    except struct.error as error:
        raise ContainerError(f"a number that no fragment can hold: {error}") from error
    return b"".join((*parts, (data_size + 8).to_bytes(4), b"mdat"))


def _traf(number: int, samples: Sequence[Sample], dts_90k: int, offset: int) -> list[bytes]:
    """`offset`: from the moof's start to the first sample's data."""
    trun_size = 20 + _TRUN_SAMPLE.size * len(samples)
    # fmt: off
    head = _TRAF.pack(
        8 + 16 + 20 + trun_size, b"traf",
        16, b"tfhd", _DEFAULT_BASE_IS_MOOF, number,
        20, b"tfdt", 0x01000000, dts_90k,
        trun_size, b"trun", 0x01000000 | _TRUN_FLAGS, len(samples), offset,
    )
    # fmt: on
    rows = [
        _TRUN_SAMPLE.pack(
            sample.duration_90k,
            sample.size,
            _SYNC if sample.keyframe else _NOT_SYNC,
            sample.composition_90k,
        )
        for sample in samples
    ]
    return [head, *rows]


def _joined(entries: Sequence[IndexEntry]) -> IndexEntry:
    return IndexEntry(
        sum(entry.size for entry in entries),
        sum(entry.duration_90k for entry in entries),
        entries[0].keyframe,
    )


def _run_mark(mark: RunMark) -> bytes:
    run = mark.run.encode()
    if not mark.run.isascii() or not 1 <= len(run) <= MAX_RUN_ID or mark.first_number >> 64:
        raise ContainerError(f"a run mark of {len(run)} bytes and number {mark.first_number}")
    return box(b"uuid", RUN_MARK_UUID, mark.first_number.to_bytes(8), run)


def _trak(number: int, track: Track) -> bytes:
    """One track, its times in 1/90000 s whatever its codec: every tfdt is UTC × 90000."""
    picture = isinstance(track, VideoTrack)
    tkhd = full_box(
        b"tkhd",
        0,
        3,
        struct.pack(">IIIII8xHHHH", 0, 0, number, 0, 0, 0, 0, 0 if picture else 0x100, 0),
        _MATRIX,
        struct.pack(">II", track.width << 16, track.height << 16),
    )
    undetermined = 0x55C4  # "und", three letters of five bits each
    mdhd = full_box(
        b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, TICKS_PER_SECOND, 0, undetermined, 0)
    )
    handler = b"vide" if picture else b"soun"
    hdlr = full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), b"ucam\0")
    head = full_box(b"vmhd", 0, 1, bytes(8)) if picture else full_box(b"smhd", 0, 0, bytes(4))
    dref = full_box(b"dref", 0, 0, (1).to_bytes(4), full_box(b"url ", 0, 1))
    stbl = box(
        b"stbl",
        full_box(b"stsd", 0, 0, (1).to_bytes(4), sample_entry(track)),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
    minf = box(b"minf", head, box(b"dinf", dref), stbl)
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))
