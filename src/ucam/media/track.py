"""What a stream is: its codec and the parameters a player needs before the first picture."""

from dataclasses import dataclass, field
from typing import Literal, Self

from ucam.media.errors import BitstreamError
from ucam.media.h264 import PPS, SPS, nal_type, ordered_sets
from ucam.media.sps import parse_sps


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
        sets = ordered_sets(parameter_sets)
        kinds = [nal_type(nal) for nal in sets]
        if SPS not in kinds or PPS not in kinds:
            raise BitstreamError("an H.264 track needs an SPS and a PPS")
        all_sps = [parse_sps(nal) for nal, kind in zip(sets, kinds, strict=True) if kind == SPS]
        return cls(
            codec="h264",
            parameter_sets=sets,
            width=all_sps[0].width,
            height=all_sps[0].height,
            codec_string=all_sps[0].codec_string,
            reorder_depth=max(sps.reorder_depth for sps in all_sps),
        )


# A union, as soon as there is audio.
Track = VideoTrack
