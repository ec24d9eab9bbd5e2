"""Access units and runs made by hand."""

from ucam.capture.run import Run
from ucam.media.access_unit import AccessUnit
from ucam.media.track import VideoTrack

TRACK = VideoTrack("h264", (b"\x67sps", b"\x68pps"), 960, 540, "avc1.42c01f", 0)


def run(name: str) -> Run:
    return Run(TRACK, id=name)


def unit(number: int, *, group: int = 5, size: int = 100) -> AccessUnit:
    """The access unit `number` of a run at 10 pictures a second, a keyframe each `group`."""
    data = size.to_bytes(4, "big") + bytes(size)
    return AccessUnit(data, number * 9000, number * 100_000, number % group == 0, number)


def sound(number: int, *, size: int = 60, late_us: int = 10_000) -> AccessUnit:
    """A frame of sound that came after that picture, and was captured `late_us` after it."""
    pts_90k, utc_us = number * 9000 + late_us * 9 // 100, number * 100_000 + late_us
    return AccessUnit(bytes(size), pts_90k, utc_us, True, number, True)
