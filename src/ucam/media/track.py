"""What a stream is: its codec and the parameters a player needs before the first picture."""

from dataclasses import dataclass, field
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A video stream. Two tracks are equal when one file can hold pictures of both.

    `parameter_sets`: NAL units without length or start code, all SPS before all PPS.
    `codec_string`: as in RFC 6381 ("avc1.64001f"), for Media Source Extensions.
    `width`, `height`: pixels after cropping.
    `reorder_depth`: how many pictures may precede one in decode order and follow it in output.
    """

    codec: Literal["h264"]
    parameter_sets: tuple[bytes, ...] = field(repr=False)
    width: int
    height: int
    codec_string: str
    reorder_depth: int

    @classmethod
    def h264(cls, parameter_sets: tuple[bytes, ...]) -> Self:
        """The track these SPS and PPS describe (in any order); raises `BitstreamError`."""
        raise NotImplementedError


# A union, as soon as there is audio.
Track = VideoTrack
