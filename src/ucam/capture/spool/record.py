"""The format of the spool's segments. No I/O.

    segment = head, header, record…
    head    = "ucamspl" version(1 byte), length of the header (u32), its CRC-32 (u32)
    header  = JSON: the run and its tracks, see `Header`
    record  = CRC-32 of what follows (u32), length of the data (u32), flags (u8: 1 keyframe,
              2 audio), 3 zero bytes, number (i64), pts in 1/90000 s (i64), UTC in µs (i64), data

Little-endian. A segment holds access units of one run and begins at a keyframe, so any number of
the oldest segments may go. What a power cut tore is behind the last whole record.
"""

import re
import struct
import zlib
from typing import NamedTuple

import msgspec

from ucam.capture.run import Run
from ucam.capture.spool.units import MAX_UNIT_BYTES
from ucam.media.access_unit import AccessUnit
from ucam.media.errors import MediaError
from ucam.media.track import AudioTrack, VideoTrack

VERSION = 1
MAX_HEADER_BYTES = 65_536
_MAGIC = b"ucamspl"
_HEAD = struct.Struct("<7sBII")
_CRC = struct.Struct("<I")
_RECORD = struct.Struct("<IB3xqqq")
HEAD_BYTES = _HEAD.size
RECORD_BYTES = _CRC.size + _RECORD.size
_KEYFRAME, _AUDIO = 1, 2
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SegmentError(ValueError):
    """Bytes that are no segment of ours; the text says why."""


class NewerSegment(SegmentError):  # noqa: N818 - no mistake
    """A segment that a newer ucam wrote."""


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a segment's access units have in common. `first` and `first_us`: number and time of
    the first of them. `audio`: channels of the Opus beside the pictures, 0 for none.
    """

    run: str
    codec: str
    sets: tuple[bytes, ...]
    first: int
    first_us: int
    audio: int = 0
    why: str = ""
    boot: str | None = None

    @classmethod
    def of(cls, run: Run, first: int, first_us: int) -> "Header":
        """The header of a segment of `run`."""
        track = run.track
        return cls(
            run=run.id,
            codec=track.codec,
            sets=track.parameter_sets,
            first=first,
            first_us=first_us,
            audio=run.audio.channels if run.audio is not None else 0,
            why=run.why,
            boot=run.boot,
        )

    def to_run(self) -> Run:
        """The run; raises `SegmentError`."""
        if not _RUN_ID.fullmatch(self.run):
            raise SegmentError("its run has no name")
        try:
            make = {"h264": VideoTrack.h264, "h265": VideoTrack.h265}[self.codec]
            audio = AudioTrack.opus(self.audio) if self.audio else None
            return Run(make(self.sets), audio, self.run, self.why, self.boot)
        except (KeyError, MediaError) as error:
            raise SegmentError(f"its tracks can't be read ({error})") from None


def encode_header(header: Header) -> bytes:
    """A segment's first bytes."""
    body = msgspec.json.encode(header)
    return _HEAD.pack(_MAGIC, VERSION, len(body), zlib.crc32(body)) + body


def header_bytes(head: bytes) -> int:
    """How long the head and the header behind it are; raises `SegmentError`."""
    if len(head) < HEAD_BYTES:
        raise SegmentError("it ends before its header")
    magic, version, length, _ = _HEAD.unpack_from(head)
    if magic != _MAGIC:
        raise SegmentError("it doesn't begin as a segment")
    if version > VERSION:
        raise NewerSegment("a newer ucam wrote it")
    if length > MAX_HEADER_BYTES:
        raise SegmentError("its header is too long")
    return HEAD_BYTES + int(length)


def parse_header(data: bytes) -> Header:
    """The header in a segment's first bytes; raises `SegmentError`."""
    body = data[HEAD_BYTES : header_bytes(data)]
    _, _, length, crc = _HEAD.unpack_from(data)
    if len(body) < length or zlib.crc32(body) != crc:
        raise SegmentError("its header is damaged")
    try:
        return msgspec.json.decode(body, type=Header)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
        raise SegmentError(f"its header can't be read ({error})") from None


def encode_record(unit: AccessUnit) -> tuple[bytes, bytes]:
    """An access unit: its head, and its bytes as they are."""
    flags = (_KEYFRAME if unit.keyframe else 0) | (_AUDIO if unit.audio else 0)
    head = _RECORD.pack(len(unit.data), flags, unit.number, unit.pts_90k, unit.utc_us)
    return _CRC.pack(zlib.crc32(unit.data, zlib.crc32(head))) + head, unit.data


class Parsed(NamedTuple):
    """What a stretch of records was. `used`: bytes of whole records. `wanted`: how many bytes the
    next record takes, 0 when that isn't known. `damaged`: what follows is none.
    """

    units: list[AccessUnit]
    used: int
    wanted: int
    damaged: bool


def parse_records(data: bytes) -> Parsed:
    """The whole records at the beginning of `data`."""
    units: list[AccessUnit] = []
    view = memoryview(data)
    used = 0
    while len(data) - used >= RECORD_BYTES:
        (crc,) = _CRC.unpack_from(data, used)
        head = used + _CRC.size
        size, flags, number, pts_90k, utc_us = _RECORD.unpack_from(data, head)
        end = used + RECORD_BYTES + size
        if not 0 < size <= MAX_UNIT_BYTES or flags & ~(_KEYFRAME | _AUDIO) or number < 0:
            return Parsed(units, used, 0, True)
        if end > len(data):
            return Parsed(units, used, RECORD_BYTES + size, False)
        if zlib.crc32(view[head:end]) != crc:
            return Parsed(units, used, 0, True)
        coded = bytes(view[head + _RECORD.size : end])
        keyframe, audio = bool(flags & _KEYFRAME), bool(flags & _AUDIO)
        units.append(AccessUnit(coded, pts_90k, utc_us, keyframe, number, audio))
        used = end
    return Parsed(units, used, 0, False)
