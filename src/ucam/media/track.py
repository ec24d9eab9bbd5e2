"""What a stream is: its codec and the parameters a player needs before the first picture."""

from dataclasses import dataclass, field
from typing import Literal, Self

from ucam.media import h265
from ucam.media.aac import AudioConfig, parse_audio_config
from ucam.media.errors import BitstreamError
from ucam.media.h264 import PPS, SPS, nal_type, ordered_sets
from ucam.media.hevc_sps import parse_hevc_sps
from ucam.media.sps import parse_sps


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A video stream. Two tracks are equal when one file can hold pictures of both.

    `parameter_sets`: NAL units without length or start code, all SPS before all PPS (H.265: all
    VPS before them).
    `codec_string`: as in RFC 6381 ("avc1.64001f"), for Media Source Extensions.
    `width`, `height`: pixels after cropping.
    `reorder_depth`: how many pictures may precede one in decode order and follow it in output.
    """

    codec: Literal["h264", "h265"]
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

    @classmethod
    def h265(cls, parameter_sets: tuple[bytes, ...]) -> Self:
        """The track these VPS, SPS and PPS describe (in any order); raises `BitstreamError`."""
        sets = h265.ordered_sets(parameter_sets)
        kinds = [h265.nal_type(nal) for nal in sets]
        if not {h265.VPS, h265.SPS, h265.PPS} <= set(kinds):
            raise BitstreamError("an H.265 track needs a VPS, an SPS and a PPS")
        all_sps = [
            parse_hevc_sps(nal) for nal, kind in zip(sets, kinds, strict=True) if kind == h265.SPS
        ]
        return cls(
            codec="h265",
            parameter_sets=sets,
            width=all_sps[0].width,
            height=all_sps[0].height,
            codec_string=all_sps[0].codec_string,
            reorder_depth=max(sps.reorder_depth for sps in all_sps),
        )


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio stream. Two tracks are equal when one file can hold frames of both.

    `config`: AAC's AudioSpecificConfig; empty for Opus. `sample_rate`: samples a second of what
    is coded. `codec_string`: "mp4a.40.2", "opus".
    """

    codec: Literal["aac", "opus"]
    config: bytes = field(repr=False)
    sample_rate: int
    channels: int
    codec_string: str

    # As a video track's, so that a file of audio alone is described like any other.
    width = 0
    height = 0
    reorder_depth = 0

    @classmethod
    def aac(cls, config: bytes) -> Self:
        """The track an AudioSpecificConfig describes; raises `BitstreamError`."""
        found: AudioConfig = parse_audio_config(config)
        return cls(
            codec="aac",
            config=config,
            sample_rate=found.sample_rate,
            channels=found.channels,
            codec_string=f"mp4a.40.{found.object_type}",
        )

    @classmethod
    def opus(cls, channels: int = 2) -> Self:
        """An Opus track: always 48 kHz, one or two channels (RFC 7587 §4.1)."""
        if channels not in (1, 2):
            raise BitstreamError(f"Opus with {channels} channels")
        return cls(
            codec="opus", config=b"", sample_rate=48_000, channels=channels, codec_string="opus"
        )


Track = VideoTrack | AudioTrack


def codec_strings(track: Track, audio: AudioTrack | None) -> str:
    """Those of a file: its track, and the audio beside its video ("avc1.64001f,mp4a.40.2")."""
    return track.codec_string if audio is None else f"{track.codec_string},{audio.codec_string}"
