"""From `[video] source` to the launch description of a GStreamer pipeline: texts only.

Every pipeline ends in an appsink named `out` that gives H.264 access units, length-prefixed, with
the parameter sets in its caps. Sources of pictures go through one encoder; sources of H.264 pass
through untouched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ucam.capture.config import Video
from ucam.capture.encoder import Encoder, encoder_launch

OUTPUT_CAPS = "video/x-h264,stream-format=avc,alignment=au"
# Bounded: when the event loop is away for long, the source waits, and drops pictures before the
# encoder, where a missing one breaks nothing.
APPSINK = "appsink name=out emit-signals=true sync=false max-buffers=64"
# Read by people and by tesseract: monospaced, large, white on a dark shade.
CLOCK_FONT = "DejaVu Sans Mono Bold"
# Pango lays the font out for a picture of 640 points of width, whatever its pixels are.
CLOCK_POINTS = 20
RTSP_LATENCY_MS = 200


class SourceError(ValueError):
    """The source can't be used on this machine; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to build the pipeline of a source.

    `name`: the source as people are told, without secrets. `launch`: the part before the encoder,
    or before the parser. `encodes`: pictures, so a keyframe can be had at any time.
    `fragment`: the text came from the configuration and must be looked at: pictures or H.264?
    `loops`: play it again when it ends.
    """

    name: str
    launch: str
    encodes: bool
    fragment: bool = False
    loops: bool = False


def plan(video: Video, has_element: Callable[[str], bool], devices: tuple[Path, ...] = ()) -> Plan:
    """The plan for `video.source`; raises `SourceError`.

    `devices`: the video devices of this machine, which `auto` may take.
    """
    kind, _, rest = video.source.partition(":")
    match kind:
        case "auto":
            return _auto(video, has_element, devices)
        case "test" if not rest:
            return Plan("test", _test(video), encodes=True)
        case "file" if rest:
            return Plan(f"file:{rest}", _file(video, Path(rest)), encodes=True, loops=True)
        case "rtsp" | "rtsps" if urlsplit(video.source).hostname:
            _need(has_element, "rtspsrc", "gstreamer1.0-plugins-good")
            return Plan(f"{kind}://{urlsplit(video.source).hostname}", _rtsp(video), encodes=False)
        case "gst" if rest:
            return Plan("gst", rest, encodes=True, fragment=True)
        case "v4l2" if rest:
            return Plan(video.source, _v4l2(video, rest), encodes=True)
        case "libcamera":
            _need(has_element, "libcamerasrc", "gstreamer1.0-libcamera")
            return Plan(video.source, _libcamera(video, rest, has_element), encodes=True)
        case "rpicam" if not rest:
            _need(has_element, "rpicamsrc", "gst-rpicamsrc (old Raspberry Pi OS only)")
            return Plan("rpicam", _rpicam(video), encodes=False)
    raise SourceError(
        f"[video] source {kind!r} is not understood: write auto, test, libcamera, rpicam,"
        " v4l2:/dev/video0, file:/clip.mp4, rtsp://… or gst:LAUNCH FRAGMENT"
    )


def launch_text(source: Plan, video: Video, encoder: Encoder | None) -> str:
    """The whole pipeline. `encoder` None: the source gives H.264."""
    if encoder is None:
        return f"{source.launch} ! h264parse ! {OUTPUT_CAPS} ! {APPSINK}"
    return f"{source.launch} ! {encoder_launch(encoder, video)} ! {OUTPUT_CAPS} ! {APPSINK}"


def picture_caps(video: Video) -> str:
    """What every encoder gets: I420 of the configured size and rate, square pixels."""
    return (
        f"video/x-raw,format=I420,width={video.width},height={video.height},"
        f"framerate={video.framerate}/1,pixel-aspect-ratio=1/1"
    )


def fit(video: Video) -> str:
    """Bring pictures of any size, format and rate to what is configured."""
    return f"videoconvert ! videoscale ! videorate ! {picture_caps(video)}"


def _auto(video: Video, has_element: Callable[[str], bool], devices: tuple[Path, ...]) -> Plan:
    if has_element("libcamerasrc"):
        return Plan("libcamera", _libcamera(video, "", has_element), encodes=True)
    if devices:
        return Plan(f"v4l2:{devices[0]}", _v4l2(video, str(devices[0])), encodes=True)
    raise SourceError(
        "[video] source auto: no camera found. For a camera on the ribbon cable install"
        " gstreamer1.0-libcamera; a USB camera shows up as /dev/video0"
    )


def _need(has_element: Callable[[str], bool], element: str, package: str) -> None:
    if not has_element(element):
        raise SourceError(f"GStreamer's {element} is missing: install {package}")


def clock_overlay() -> str:
    """The running UTC clock of synthetic sources (the process runs with TZ=UTC)."""
    return (
        'clockoverlay time-format="%Y-%m-%d %H:%M:%S"'
        f' font-desc="{CLOCK_FONT} {CLOCK_POINTS}" shaded-background=true shading-value=200'
        " halignment=left valignment=top xpad=12 ypad=12"
    )


def _test(video: Video) -> str:
    return (
        "videotestsrc is-live=true pattern=smpte100 horizontal-speed=4"
        f" ! {picture_caps(video)} ! {clock_overlay()}"
    )


def _file(video: Video, path: Path) -> str:
    if not path.is_file():
        raise SourceError(f"[video] source: {path} is no file")
    # Looped by segment seeks: identity makes one endless segment of them, so that videorate
    # closes no segment with a picture too many. The pace is set behind everything that buffers,
    # and is off until the first seek is done (a waiting clocksync would keep it from finishing).
    return (
        f"filesrc location={_quoted(str(path))} ! decodebin ! queue max-size-buffers=4"
        " ! videoconvert ! videoscale ! identity single-segment=true silent=true ! videorate"
        f" ! {picture_caps(video)} ! clocksync name=pace sync=false ! {clock_overlay()}"
    )


def _rtsp(video: Video) -> str:
    return (
        f"rtspsrc name=rtsp location={_quoted(video.source)} protocols=tcp"
        f" latency={RTSP_LATENCY_MS} ! application/x-rtp,media=video,encoding-name=H264"
        " ! rtph264depay"
    )


def _v4l2(video: Video, device: str) -> str:
    size = f"width={video.width},height={video.height}"
    # In this order: USB cameras give large pictures fluently only as JPEG.
    wanted = ";".join([f"image/jpeg,{size}", f"video/x-raw,{size}", "image/jpeg", "video/x-raw"])
    return (
        f"v4l2src device={_quoted(device)} do-timestamp=true ! capsfilter caps={_quoted(wanted)}"
        f" ! decodebin ! {fit(video)}"
    )


def _libcamera(video: Video, name: str, has_element: Callable[[str], bool]) -> str:
    camera = f" camera-name={_quoted(name)}" if name else ""
    caps = (
        f"video/x-raw,format=NV12,width={video.width},height={video.height},"
        f"framerate={video.framerate}/1"
    )
    # The Pi's own converter costs no processor time, where there is one (up to the Pi 4).
    convert = "v4l2convert" if has_element("v4l2convert") else "videoconvert"
    return f"libcamerasrc{camera} ! {caps} ! queue max-size-buffers=2 ! {convert}"


def _rpicam(video: Video) -> str:
    interval = max(1, round(video.keyframe_interval * video.framerate))
    return (
        f"rpicamsrc bitrate={int(video.bitrate)} keyframe-interval={interval} preview=false"
        f" inline-headers=true ! video/x-h264,width={video.width},height={video.height},"
        f"framerate={video.framerate}/1,profile=baseline"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
