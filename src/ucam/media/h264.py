"""H.264 NAL units: their two framings, and what stands in which (ITU-T H.264 §7.3.1, annex B;
ISO/IEC 14496-15 §4.3.2).
"""

import struct
from collections.abc import Iterable, Iterator

from ucam.media.errors import BitstreamError

SLICE, IDR, SEI, SPS, PPS, DELIMITER, FILLER = 1, 5, 6, 7, 8, 9, 12

_LENGTH = struct.Struct(">I")
_START = b"\x00\x00\x01"


def nal_type(nal: bytes | memoryview) -> int:
    """The nal_unit_type of a NAL unit that has at least its first byte."""
    return nal[0] & 0x1F


def nals(data: bytes | memoryview) -> Iterator[memoryview]:
    """The NAL units of length-prefixed data; raises `BitstreamError` where a length is wrong."""
    view = memoryview(data)
    position, end = 0, len(view)
    while position < end:
        if position + 4 > end:
            raise BitstreamError(f"half a NAL unit length at byte {position}")
        (length,) = _LENGTH.unpack_from(view, position)
        start, position = position + 4, position + 4 + length
        if not length or position > end:
            raise BitstreamError(f"NAL unit of {length} bytes at byte {start} of {end}")
        yield view[start:position]


def is_whole(data: bytes) -> bool:
    """Whether length-prefixed data holds NAL units, each with the length that it says."""
    if is_one(data):
        return True
    position, end = 0, len(data)
    while position + 4 < end:
        (length,) = _LENGTH.unpack_from(data, position)
        if not length:
            return False
        position += 4 + length
    return position == end > 0


def is_one(data: bytes) -> bool:
    """Whether length-prefixed data is one NAL unit, as most pictures are."""
    return len(data) > 4 and int.from_bytes(data[:4]) + 4 == len(data)


def split_annex_b(data: bytes | memoryview) -> list[bytes]:
    """The NAL units of a byte stream with start codes; what precedes the first is left out."""
    stream = bytes(data)
    found: list[bytes] = []
    start = stream.find(_START)
    while start >= 0:
        following = stream.find(_START, start + 3)
        end = following if following >= 0 else len(stream)
        # Zeros before a start code belong to it; no NAL unit ends with one (§7.4.1).
        if nal := stream[start + 3 : end].rstrip(b"\x00"):
            found.append(nal)
        start = following
    return found


def prefixed(nal_units: Iterable[bytes | memoryview]) -> bytes:
    """NAL units as length-prefixed data, the form of `AccessUnit.data`."""
    parts: list[bytes | memoryview] = []
    for nal in nal_units:
        parts += (_LENGTH.pack(len(nal)), nal)
    return b"".join(parts)


def annex_b(data: bytes | memoryview) -> bytes:
    """Length-prefixed data as a byte stream with start codes."""
    parts: list[bytes | memoryview] = []
    for nal in nals(data):
        parts += (b"\x00\x00\x00\x01", nal)
    return b"".join(parts)


def is_keyframe(data: bytes | memoryview) -> bool:
    """Whether length-prefixed data holds an IDR picture."""
    return any(nal[0] & 0x1F == IDR for nal in nals(data))


def ordered_sets(nal_units: Iterable[bytes | memoryview]) -> tuple[bytes, ...]:
    """The SPS, then the PPS among NAL units, each once."""
    units = [bytes(nal) for nal in nal_units]
    sets = [nal for wanted in (SPS, PPS) for nal in units if nal and nal_type(nal) == wanted]
    return tuple(dict.fromkeys(sets))


def parameter_sets(data: bytes | memoryview) -> tuple[bytes, ...]:
    """The SPS and PPS inside length-prefixed data, SPS first; empty when there are none."""
    return ordered_sets(nal for nal in nals(data) if nal[0] & 0x1F in (SPS, PPS))
