"""Which H.264 encoder, and how it is set: low delay, no B-frames, constrained baseline.

Constrained baseline because every browser takes it in a live call, and it costs the least.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ucam.capture.config import Video

CANDIDATES = ("v4l2h264enc", "x264enc", "openh264enc")
PACKAGES = {
    "v4l2h264enc": "a hardware encoder (Raspberry Pi up to 4) and gstreamer1.0-plugins-good",
    "x264enc": "gstreamer1.0-plugins-ugly",
    "openh264enc": "gstreamer1.0-plugins-bad",
}


class EncoderError(ValueError):
    """No encoder works; the text says which were tried and what to install."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder that came up, and why it and no other."""

    name: str
    why: str


def choose_encoder(
    wanted: str, has_element: Callable[[str], bool], proves: Callable[[str], bool]
) -> Encoder:
    """The first candidate that comes up, or the one that is `wanted`; raises `EncoderError`."""
    names = CANDIDATES if wanted == "auto" else (wanted,)
    reasons = []
    for name in names:
        if not has_element(name):
            reasons.append(f"{name} is not installed")
        elif not proves(name):
            reasons.append(f"{name} does not start (no device behind it?)")
        else:
            return Encoder(name, "; ".join([*reasons, f"{name} works"]))
    hint = ", or ".join(PACKAGES[name] for name in names)
    raise EncoderError(f"no H.264 encoder: {'; '.join(reasons)}. It takes {hint}")


def encoder_launch(encoder: Encoder, video: Video) -> str:
    """Raw pictures in, H.264 out."""
    interval = max(1, round(video.keyframe_interval * video.framerate))
    bits = int(video.bitrate)
    match encoder.name:
        case "x264enc":
            return (
                # An access unit delimiter would be a packet of its own for every viewer.
                "x264enc name=encoder tune=zerolatency speed-preset=superfast bframes=0 aud=false"
                f" key-int-max={interval} bitrate={max(1, bits // 1000)}"
                " ! capsfilter caps=video/x-h264,profile=constrained-baseline"
            )
        case "openh264enc":
            return (
                f"openh264enc name=encoder bitrate={bits} max-bitrate={bits * 3 // 2}"
                f" gop-size={interval} complexity=low rate-control=bitrate"
                " ! video/x-h264,profile=constrained-baseline ! h264parse"
            )
        case "v4l2h264enc":
            controls = (
                f"controls,video_bitrate={bits},h264_i_frame_period={interval},"
                "repeat_sequence_header=1"
            )
            # Without a level the driver refuses; 4.1 holds 1080p30.
            return (
                f'v4l2h264enc name=encoder extra-controls="{controls}"'
                ' ! "video/x-h264,level=(string)4.1,profile=constrained-baseline" ! h264parse'
            )
    raise EncoderError(f"{encoder.name} is not known")
