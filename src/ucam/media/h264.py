"""H.264 NAL units: the two framings, parameter sets, avcC (ITU-T H.264, ISO/IEC 14496-15)."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sps:
    """What ucam needs of a sequence parameter set (H.264 §7.3.2.1.1)."""

    sps_id: int
    profile_idc: int
    constraints: int
    level_idc: int
    width: int
    height: int
    reorder_frames: int | None
    poc_type: int


def nals(data: bytes | memoryview) -> Iterator[memoryview]:
    """The NAL units of length-prefixed data; raises `BitstreamError` where a length is wrong."""
    raise NotImplementedError


def split_annex_b(data: bytes | memoryview) -> list[bytes]:
    """The NAL units of a byte stream with start codes (H.264 annex B)."""
    raise NotImplementedError


def prefixed(nal_units: list[bytes]) -> bytes:
    """NAL units as length-prefixed data, the form of `AccessUnit.data`."""
    raise NotImplementedError


def annex_b(data: bytes | memoryview) -> bytes:
    """Length-prefixed data as a byte stream with start codes."""
    raise NotImplementedError


def is_keyframe(data: bytes | memoryview) -> bool:
    """Whether length-prefixed data holds an IDR picture."""
    raise NotImplementedError


def parameter_sets(data: bytes | memoryview) -> tuple[bytes, ...]:
    """The SPS and PPS inside length-prefixed data, SPS first; empty when there are none."""
    raise NotImplementedError


def parse_sps(nal: bytes) -> Sps:
    """Read an SPS NAL unit; raises `BitstreamError`."""
    raise NotImplementedError


def avcc(sets: tuple[bytes, ...]) -> bytes:
    """The AVCDecoderConfigurationRecord of SPS and PPS."""
    raise NotImplementedError


def parse_avcc(record: bytes | memoryview) -> tuple[bytes, ...]:
    """SPS and PPS of an AVCDecoderConfigurationRecord; raises `BitstreamError`."""
    raise NotImplementedError
