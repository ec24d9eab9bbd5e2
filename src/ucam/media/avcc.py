"""The AVCDecoderConfigurationRecord of MP4 files (ISO/IEC 14496-15 §5.3.3.1)."""

from ucam.media.errors import BitstreamError
from ucam.media.h264 import PPS, SPS, nal_type, ordered_sets
from ucam.media.sps import parse_sps

# Profiles for which the record goes on with chroma format and bit depths.
_EXTENDED = frozenset((100, 110, 122, 144, 244, 44, 83, 86, 118, 128))


def build_avcc(parameter_sets: tuple[bytes, ...]) -> bytes:
    """The record of these SPS and PPS, for 4-byte lengths; raises `BitstreamError`."""
    sets = ordered_sets(parameter_sets)
    first = [nal for nal in sets if nal_type(nal) == SPS]
    second = [nal for nal in sets if nal_type(nal) == PPS]
    if not first or not second or len(first) > 31 or len(second) > 255:
        raise BitstreamError(f"{len(first)} SPS and {len(second)} PPS make no H.264 track")
    if any(len(nal) > 0xFFFF for nal in sets):
        raise BitstreamError("a parameter set longer than 65,535 bytes")
    sps = parse_sps(first[0])
    out = bytearray((1, sps.profile_idc, sps.constraints, sps.level_idc, 0xFF, 0xE0 | len(first)))
    for nal in first:
        out += len(nal).to_bytes(2) + nal
    out.append(len(second))
    for nal in second:
        out += len(nal).to_bytes(2) + nal
    if sps.profile_idc in _EXTENDED:
        out += bytes((0xFC | sps.chroma_format, 0xF8 | sps.luma_depth - 8))
        out += bytes((0xF8 | sps.chroma_depth - 8, 0))
    return bytes(out)


def parse_avcc(record: bytes | memoryview) -> tuple[bytes, ...]:
    """Its SPS, then its PPS; raises `BitstreamError` (also for lengths of other than 4 bytes)."""
    data = bytes(record)
    if len(data) < 7 or data[0] != 1:
        raise BitstreamError("no AVC decoder configuration of version 1")
    if data[4] & 3 != 3:
        raise BitstreamError("NAL unit lengths of other than 4 bytes")
    found: list[bytes] = []
    position, count = 6, data[5] & 31
    for wanted in (SPS, PPS):
        for _ in range(count):
            length = int.from_bytes(data[position : position + 2])
            nal = data[position + 2 : position + 2 + length]
            if not nal or len(nal) != length or nal_type(nal) != wanted:
                raise BitstreamError(f"broken parameter set at byte {position} of the avcC")
            found.append(nal)
            position += 2 + length
        count, position = (data[position], position + 1) if position < len(data) else (0, position)
    return tuple(found)
