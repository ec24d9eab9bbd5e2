"""H.265 NAL units: what stands in which (ITU-T H.265 §7.3.1, table 7-1); framed as H.264's."""

from collections.abc import Iterable

from ucam.media.bits import BitReader, unescape
from ucam.media.hevc_sps import parse_hevc_sps

VPS, SPS, PPS, DELIMITER, FILLER = 32, 33, 34, 35, 38
FIRST_IRAP, LAST_IRAP = 16, 21  # BLA, IDR and CRA pictures
LAST_SLICE = 31
END_OF_SEQUENCE, END_OF_STREAM = 36, 37


def nal_type(nal: bytes | memoryview) -> int:
    """The nal_unit_type of a NAL unit that has at least its first byte."""
    return nal[0] >> 1 & 0x3F


def set_id(nal: bytes | memoryview) -> int:
    """The id of a parameter set among those of its kind; raises `BitstreamError`."""
    if nal_type(nal) == SPS:
        return parse_hevc_sps(bytes(nal)).sps_id
    bits = BitReader(unescape(bytes(nal[2:10])))
    return bits.u(4) if nal_type(nal) == VPS else bits.ue()


def ordered_sets(nal_units: Iterable[bytes | memoryview]) -> tuple[bytes, ...]:
    """The VPS, then the SPS, then the PPS among NAL units, each once."""
    units = [bytes(nal) for nal in nal_units]
    sets = [nal for wanted in (VPS, SPS, PPS) for nal in units if nal and nal_type(nal) == wanted]
    return tuple(dict.fromkeys(sets))
