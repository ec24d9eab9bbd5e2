"""capture.toml, as structs. Every key stands in docs/configuration.md."""

import re
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from ucam.base.config import Section
from ucam.base.jid import JID
from ucam.base.units import Duration, Rate, Size, WebUrl

SOURCE = re.compile(
    r"auto|test|rpicam|libcamera(:.+)?|v4l2:/.+|rtsps?://.+|file:.+|gst:.+", re.DOTALL
)
AUDIO_SOURCE = re.compile(r"none|auto|test|alsa:.+")


class Device(Section, kw_only=True, frozen=True):
    jid: JID
    token_file: Path
    name: str | None = None


class Web(Section, kw_only=True, frozen=True):
    url: WebUrl


class Storage(Section, kw_only=True, frozen=True):
    url: str | None = None
    fingerprint: str | None = None
    ca: Path | None = None


class Video(Section, kw_only=True, frozen=True):
    source: str = "auto"
    width: Annotated[int, Meta(ge=16, le=7680)] = 1280
    height: Annotated[int, Meta(ge=16, le=4320)] = 720
    framerate: Annotated[int, Meta(ge=1, le=240)] = 30
    bitrate: Rate = Rate.parse("2Mbit/s")
    keyframe_interval: Duration = Duration(1)
    encoder: Literal["auto", "v4l2h264enc", "x264enc", "openh264enc"] = "auto"

    def __post_init__(self) -> None:
        if not SOURCE.fullmatch(self.source):
            raise ValueError(
                f"source: {self.source!r} is not known: auto, test, libcamera, libcamera:NAME, "
                "v4l2:/dev/video0, rpicam, rtsp://…, rtsps://…, file:/clip.mp4 or gst:LAUNCH"
            )
        if not 0.1 <= self.keyframe_interval <= 10:
            raise ValueError("keyframe-interval: between 100ms and 10s")
        if not 50_000 <= self.bitrate <= 100_000_000:
            raise ValueError("bitrate: between 50kbit/s and 100Mbit/s")


class Audio(Section, kw_only=True, frozen=True):
    source: str = "none"

    def __post_init__(self) -> None:
        if not AUDIO_SOURCE.fullmatch(self.source):
            raise ValueError(
                f"source: {self.source!r} is not known: none, auto, test or alsa:DEVICE"
                " (as arecord -L lists them: alsa:plughw:1,0)"
            )


class Spool(Section, kw_only=True, frozen=True):
    memory: Size = Size.parse("64MB")
    path: Path = Path("/var/lib/ucam/capture/spool")
    maxspace: Size = Size.parse("4GB")


class Led(Section, kw_only=True, frozen=True):
    name: str | None = None
    gpio: Annotated[int, Meta(ge=0, le=53)] | None = None

    def __post_init__(self) -> None:
        if self.name is not None and self.gpio is not None:
            raise ValueError("a camera has one LED: either name or gpio")


class Live(Section, kw_only=True, frozen=True):
    max_viewers: Annotated[int, Meta(ge=0, le=1000)] = 8


class CaptureConfig(Section, kw_only=True, frozen=True):
    device: Device
    web: Web
    storage: Storage = Storage()
    video: Video = Video()
    audio: Audio = Audio()
    spool: Spool = Spool()
    led: Led = Led()
    live: Live = Live()
