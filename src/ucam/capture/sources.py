"""From `[video] source` to the launch description of a GStreamer pipeline: texts only.

Every pipeline ends in a pipe, behind an element named `out`: access units of H.264 or H.265,
length-prefixed, with the parameter sets in their caps, as `gdp` reads them. Sources of pictures go
through one encoder; what is coded already passes through untouched.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import msgspec

from ucam.capture import counter
from ucam.capture.config import Video
from ucam.capture.encoder import Encoder, encoder_launch

H264_CAPS = "video/x-h264,stream-format=avc,alignment=au"
PARSERS = {
    "H264": f"h264parse ! capsfilter caps={H264_CAPS}",
    "H265": "h265parse ! capsfilter caps=video/x-h265,stream-format=hvc1,alignment=au",
}
DEPAYLOADERS = {"H264": "rtph264depay", "H265": "rtph265depay"}
# No Python runs in GStreamer's threads for a picture. A pipe is bounded: when the event loop is
# away for long, the source waits, and drops pictures before the encoder, where a missing one breaks
# nothing. `out` waits for the time of what isn't live.
SINK = (
    "clocksync name=out sync=false ! gdppay crc-header=false crc-payload=false"
    " ! fdsink name=pipe sync=false"
)
# Read by people and by tesseract: monospaced, large, white on a dark shade.
CLOCK_FONT = "DejaVu Sans Mono Bold"
# Pango lays the font out for a picture of 640 points of width, whatever its pixels are.
CLOCK_POINTS = 20
RTSP_LATENCY_MS = 200
# What a camera may give besides H.264; the raw data of a sensor (Bayer) is no picture yet.
PICTURES = "image/jpeg;video/x-raw"

Gives = Literal["pictures", "H264", "H265", "H264 or H265", "unknown"]


class SourceError(ValueError):
    """The source can't be used on this machine; the text says why and what to do."""


class Machine(Protocol):
    """What `plan` asks of the machine. Elements are launch texts."""

    def has(self, element: str) -> bool:
        """Whether an element of this name is installed."""

    def fault(self, source: str) -> str | None:
        """Why a source doesn't come up (READY opens its device); None: it does."""

    def offers(self, source: str, caps: str) -> bool:
        """Whether a source that came up can give one of these caps."""

    def cameras(self) -> tuple[Path, ...]:
        """Devices of the Video4Linux kind that may be cameras."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to build the pipeline of a source.

    `name`: the source as people are told, without secrets; `why` it and no other. `launch`: the
    part before the encoder, or before the parser. `gives`: what comes of it; "unknown" of a text
    from the configuration, which must be looked at; "H264 or H265" of a camera that has to be
    asked. `loops`: play it again when it ends.
    """

    name: str
    launch: str
    gives: Gives
    why: str = "as configured"
    loops: bool = False


def plan(video: Video, machine: Machine) -> Plan:
    """The plan for `video.source`; raises `SourceError`. May open devices: not in the loop."""
    kind, _, rest = video.source.partition(":")
    match kind:
        case "auto":
            return _auto(video, machine)
        case "test" if not rest:
            return Plan("test", _test(video, machine), "pictures")
        case "file" if rest:
            return Plan(f"file:{rest}", _file(video, Path(rest)), "pictures", loops=True)
        case "rtsp" | "rtsps" if urlsplit(video.source).hostname:
            _need(machine, "rtspsrc", "gstreamer1.0-plugins-good")
            name = f"{kind}://{urlsplit(video.source).hostname}"
            return Plan(name, _rtsp(video), "H264 or H265")
        case "gst" if rest:
            return Plan("gst", rest, "unknown")
        case "v4l2" if rest:
            return _v4l2(video, rest, machine, "as configured")
        case "libcamera":
            _need(machine, "libcamerasrc", "gstreamer1.0-libcamera")
            return Plan(video.source, _libcamera(video, rest, machine), "pictures")
        case "rpicam" if not rest:
            _need(machine, "rpicamsrc", "gst-rpicamsrc (old Raspberry Pi OS only)")
            return Plan("rpicam", _rpicam(video), "H264")
    raise SourceError(
        f"[video] source {kind!r} is not understood: write auto, test, libcamera, rpicam,"
        " v4l2:/dev/video0, file:/clip.mp4, rtsp://… or gst:LAUNCH FRAGMENT"
    )


def launch_text(source: Plan, video: Video, encoder: Encoder | None) -> str:
    """The whole pipeline. `encoder` None: what the source gives is coded already."""
    if encoder is not None:
        fitted = f"{source.launch} ! {fit(video)}" if source.gives == "unknown" else source.launch
        return f"{fitted} ! {encoder_launch(encoder, video)} ! {H264_CAPS} ! {SINK}"
    if source.gives == "H264 or H265":
        # What belongs between the two is linked when the camera has said which it is.
        return f"{source.launch}  {SINK}"
    return f"{source.launch} ! {PARSERS[source.gives]} ! {SINK}"


def picture_caps(video: Video) -> str:
    """What every encoder gets: I420 of the configured size and rate, square pixels."""
    return (
        f"video/x-raw,format=I420,width={video.width},height={video.height},"
        f"framerate={video.framerate}/1,pixel-aspect-ratio=1/1"
    )


def fit(video: Video) -> str:
    """Bring pictures of any size, format and rate to what is configured."""
    return f"videoconvert ! videoscale ! videorate ! {picture_caps(video)}"


def _auto(video: Video, machine: Machine) -> Plan:
    """The first camera that comes up: ribbon cable, then USB."""
    reasons: list[str] = []
    for name in ("libcamera", "rpicam"):
        if not machine.has(f"{name}src"):
            reasons.append(f"{name}src is not installed")
        elif fault := machine.fault(f"{name}src"):
            reasons.append(f"{name}: {fault}")
        else:
            found = plan(msgspec.structs.replace(video, source=name), machine)
            return replace(found, why="; ".join([*reasons, f"{name} comes up"]))
    for device in machine.cameras():
        try:
            return _v4l2(video, str(device), machine, "; ".join([*reasons, f"{device} comes up"]))
        except SourceError as error:
            reasons.append(str(error))
    raise SourceError(
        f"[video] source auto: no camera found ({'; '.join(reasons)}). For a camera on the ribbon"
        " cable install gstreamer1.0-libcamera and look at the cable; a USB camera shows up as"
        " /dev/video0"
    )


def _need(machine: Machine, element: str, package: str) -> None:
    if not machine.has(element):
        raise SourceError(f"GStreamer's {element} is missing: install {package}")


def clock_overlay() -> str:
    """The running UTC clock of synthetic sources (the process runs with TZ=UTC)."""
    return (
        'clockoverlay time-format="%Y-%m-%d %H:%M:%S"'
        f' font-desc="{CLOCK_FONT} {CLOCK_POINTS}" shaded-background=true shading-value=200'
        " halignment=left valignment=top xpad=12 ypad=12"
    )


def _test(video: Video, machine: Machine) -> str:
    numbers = counter.launch(video.width) if machine.has(counter.ELEMENT) else ""
    return (
        "videotestsrc is-live=true pattern=smpte100 horizontal-speed=4"
        f" ! {picture_caps(video)} ! {clock_overlay()}{numbers}"
    )


def _file(video: Video, path: Path) -> str:
    if not path.is_file():
        raise SourceError(f"[video] source: {path} is no file")
    # Looped by segment seeks: identity makes one endless segment of them, so that videorate
    # closes no segment with a picture too many. The pace is set behind everything that buffers,
    # and is off until the first seek is done (a waiting clocksync would keep it from finishing).
    return (
        f"filesrc location={quoted(str(path))} ! decodebin ! queue max-size-buffers=4"
        " ! videoconvert ! videoscale ! identity single-segment=true silent=true ! videorate"
        f" ! {picture_caps(video)} ! clocksync name=pace sync=false ! {clock_overlay()}"
    )


def _rtsp(video: Video) -> str:
    # The camera's own spacing of its pictures; its drift is followed by `drift`.
    return (
        f"rtspsrc name=rtsp location={quoted(video.source)} protocols=tcp buffer-mode=none"
        f" latency={RTSP_LATENCY_MS}"
    )


def _v4l2(video: Video, device: str, machine: Machine, why: str) -> Plan:
    """Its own H.264 where it has any of this size; else pictures for the encoder."""
    source = f"v4l2src device={quoted(device)} do-timestamp=true"
    name = f"v4l2:{device}"
    if fault := machine.fault(source):
        raise SourceError(f"{name}: {fault}")
    size = f"width={video.width},height={video.height}"
    coded = [f"video/x-h264,{size},framerate={video.framerate}/1", f"video/x-h264,{size}"]
    if machine.offers(source, ";".join(coded)):
        launch = f"{source} ! capsfilter caps={quoted(';'.join(coded))}"
        return Plan(name, launch, "H264", f"{why}; it gives H.264 of this size by itself")
    if not machine.offers(source, PICTURES):
        raise SourceError(f"{name}: gives no pictures (the bare sensor of another camera?)")
    # In this order: USB cameras give large pictures fluently only as JPEG.
    wanted = ";".join([f"image/jpeg,{size}", f"video/x-raw,{size}", "image/jpeg", "video/x-raw"])
    launch = f"{source} ! capsfilter caps={quoted(wanted)} ! decodebin ! {fit(video)}"
    return Plan(name, launch, "pictures", why)


def _libcamera(video: Video, name: str, machine: Machine) -> str:
    camera = f" camera-name={quoted(name)}" if name else ""
    caps = (
        f"video/x-raw,format=NV12,width={video.width},height={video.height},"
        f"framerate={video.framerate}/1"
    )
    # The Pi's own converter costs no processor time, where there is one (up to the Pi 4).
    convert = "v4l2convert" if machine.has("v4l2convert") else "videoconvert"
    return f"libcamerasrc{camera} ! {caps} ! queue max-size-buffers=2 ! {convert}"


def _rpicam(video: Video) -> str:
    interval = max(1, round(video.keyframe_interval * video.framerate))
    return (
        f"rpicamsrc bitrate={int(video.bitrate)} keyframe-interval={interval} preview=false"
        f" inline-headers=true ! video/x-h264,width={video.width},height={video.height},"
        f"framerate={video.framerate}/1,profile=baseline"
    )


def quoted(text: str) -> str:
    """A text as one value of a launch description, whatever is in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
