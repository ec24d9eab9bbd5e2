"""The HEVCDecoderConfigurationRecord of MP4 files (ISO/IEC 14496-15 §8.3.3.1)."""

import struct

from ucam.media.errors import BitstreamError
from ucam.media.h265 import PPS, SPS, VPS, nal_type, ordered_sets
from ucam.media.hevc_sps import parse_hevc_sps

_FIXED = 23
_MAX_SETS = 64
_COMPLETE = 0x80  # all parameter sets of this kind stand here and none in the samples: "hvc1"


def build_hvcc(parameter_sets: tuple[bytes, ...]) -> bytes:
    """The record of these VPS, SPS and PPS, for 4-byte lengths; raises `BitstreamError`."""
    sets = ordered_sets(parameter_sets)
    by_kind = {kind: [nal for nal in sets if nal_type(nal) == kind] for kind in (VPS, SPS, PPS)}
    if not all(by_kind.values()) or len(sets) > _MAX_SETS:
        counts = ", ".join(str(len(found)) for found in by_kind.values())
        raise BitstreamError(f"{counts} VPS, SPS, PPS make no H.265 track")
    if any(len(nal) > 0xFFFF for nal in sets):
        raise BitstreamError("a parameter set longer than 65,535 bytes")
    sps = parse_hevc_sps(by_kind[SPS][0])
    out = bytearray(b"\x01" + sps.profile)
    # Nothing is said of segmentation, parallelism and frame rate: 0 is "unknown".
    out += struct.pack(
        ">HBBBBHB",
        0xF000,
        0xFC,
        0xFC | sps.chroma_format,
        0xF8 | sps.luma_depth - 8,
        0xF8 | sps.chroma_depth - 8,
        0,
        sps.sub_layers << 3 | sps.nested << 2 | 3,
    )
    out.append(len(by_kind))
    for kind, found in by_kind.items():
        out += struct.pack(">BH", _COMPLETE | kind, len(found))
        for nal in found:
            out += len(nal).to_bytes(2) + nal
    return bytes(out)


def parse_hvcc(record: bytes | memoryview) -> tuple[bytes, ...]:
    """Its VPS, SPS and PPS; raises `BitstreamError` (also for lengths of other than 4 bytes)."""
    data = bytes(record)
    if len(data) < _FIXED or data[0] != 1:
        raise BitstreamError("no HEVC decoder configuration of version 1")
    if data[21] & 3 != 3:
        raise BitstreamError("NAL unit lengths of other than 4 bytes")
    found: list[bytes] = []
    position = _FIXED
    for _ in range(data[22]):
        count = int.from_bytes(data[position + 1 : position + 3])
        position += 3
        for _ in range(count):
            length = int.from_bytes(data[position : position + 2])
            nal = data[position + 2 : position + 2 + length]
            if not nal or len(nal) != length or len(found) == _MAX_SETS:
                raise BitstreamError(f"broken parameter set at byte {position} of the hvcC")
            found.append(nal)
            position += 2 + length
    return ordered_sets(found)
