"""What pipelines give: coded pictures and sound, on the system's monotonic clock."""

from dataclasses import dataclass
from typing import Literal

from ucam.capture.gst import Gst, structure
from ucam.media.avcc import parse_avcc
from ucam.media.hvcc import parse_hvcc


@dataclass(frozen=True, slots=True)
class Format:
    """What a stretch of pictures or sound has in common. `caps`: GStreamer's text, with profile
    and level. `parameter_sets`: of pictures. `channels`: of sound.
    """

    caps: str
    codec: Literal["h264", "h265", "opus"]
    parameter_sets: tuple[bytes, ...] = ()
    channels: int = 0


@dataclass(frozen=True, slots=True)
class Coded:
    """What a pipeline gives. `clock_ns`: capture time on the monotonic clock."""

    data: bytes
    clock_ns: int
    keyframe: bool
    format: Format


class Picture(Coded):
    """One coded picture."""


class Sound(Coded):
    """One frame of Opus, 20 ms; each is a keyframe."""


def read_format(text: str) -> Format:
    """From the text of caps; raises `MediaError` for parameter sets that are none."""
    with structure(Gst.Caps.from_string(text)) as stream:
        name = stream.get_name()
        if name == "audio/x-opus":
            return Format(text, "opus", channels=stream.get_value("channels"))
        record = stream.get_value("codec_data")
    data = record.extract_dup(0, record.get_size())
    if name == "video/x-h265":
        return Format(text, "h265", parse_hvcc(data))
    return Format(text, "h264", parse_avcc(data))
