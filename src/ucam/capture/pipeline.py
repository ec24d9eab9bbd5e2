"""One life of the camera's GStreamer pipeline: from its start to its first fault.

Everything runs on the system's monotonic clock, which goes on over restarts: `clock_ns` of a
picture compares with `time.monotonic_ns()` and with the pictures of other pipelines.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ucam.capture.config import Video
from ucam.capture.encoder import Encoder
from ucam.capture.gst import GLib, Gst, GstVideo, structure
from ucam.capture.sources import Plan, fit, launch_text
from ucam.media.avcc import parse_avcc
from ucam.media.errors import MediaError

_log = logging.getLogger(__name__)


class PipelineError(ValueError):
    """A pipeline that can't be built; the text says why."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a stretch of pictures has in common. `caps`: a `Gst.Caps`, with profile and level."""

    caps: Any
    parameter_sets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One coded picture. `clock_ns`: capture time on the monotonic clock. `buffer`: a
    `Gst.Buffer` of the same bytes whose PTS is `clock_ns`.
    """

    data: bytes
    clock_ns: int
    keyframe: bool
    buffer: Any
    format: Format


def fragment_encodes(launch: str) -> bool:
    """Whether a `gst:` fragment gives pictures (to encode), not H.264; raises `PipelineError`."""
    try:
        # Behind identity, so that a fragment may end with caps.
        part = Gst.parse_bin_from_description(f"{launch} ! identity", True)
    except GLib.Error as error:
        raise PipelineError(f"[video] source gst: {error.message}") from None
    pad = part.get_static_pad("src")
    caps = pad.query_caps(None) if pad is not None else None
    names = set()
    if caps is not None and not caps.is_any():
        for number in range(caps.get_size()):
            with structure(caps, number) as media:
                names.add(media.get_name())
    part.set_state(Gst.State.NULL)
    if names and names <= {"video/x-h264"}:
        return False
    if "video/x-raw" in names:
        return True
    raise PipelineError(
        "[video] source gst: must end with one open pad of video/x-raw or video/x-h264, but gives "
        + (", ".join(sorted(names)) or "nothing that is known in advance")
    )


class Pipeline:
    """Built in NULL; `start`, pictures by `on_picture`, at most one `on_end`, and always `stop`.

    Both callbacks come in the event loop. `encoder` None: the source gives H.264.
    Raises `PipelineError`.
    """

    def __init__(
        self,
        source: Plan,
        video: Video,
        encoder: Encoder | None,
        on_picture: Callable[[Picture], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_picture = on_picture
        self._on_end: Callable[[str], None] | None = on_end
        fragment = source.fragment
        if fragment and encoder is not None:
            source = Plan(source.name, f"{source.launch} ! {fit(video)}", encodes=True)
        try:
            self._pipeline: Any = Gst.parse_launch(launch_text(source, video, encoder))
        except GLib.Error as error:
            raise PipelineError(f"source {source.name}: {error.message}") from None
        self._loops, self._fragment = source.loops, fragment
        self._seeks_done = 0
        self._format: Format | None = None
        self._pipeline.use_clock(Gst.SystemClock.obtain())
        self._sink = self._pipeline.get_by_name("out")
        self._listening = [(self._sink, self._sink.connect("new-sample", self._wake))]
        if (rtsp := self._pipeline.get_by_name("rtsp")) is not None:
            selecting = rtsp.connect("select-stream", self._select_stream)
            self._listening.append((rtsp, selecting))
        self._bus = self._pipeline.get_bus()
        self._loop.add_reader(self._bus.get_pollfd().fd, self._read_bus)

    async def start(self) -> None:
        """Set it going; what fails comes by `on_end`."""
        # A clip waits for its first seek; a fragment must show whether it is live.
        waits = self._loops or self._fragment
        state = Gst.State.PAUSED if waits else Gst.State.PLAYING
        result = await asyncio.to_thread(self._pipeline.set_state, state)
        if self._fragment and result != Gst.StateChangeReturn.FAILURE:
            # What isn't live would run as fast as it can.
            self._sink.set_property("sync", result != Gst.StateChangeReturn.NO_PREROLL)
            result = await asyncio.to_thread(self._pipeline.set_state, Gst.State.PLAYING)
        if result == Gst.StateChangeReturn.FAILURE:
            self._read_bus()  # the element's own words, if it left any
            self._end("it does not start")

    async def stop(self) -> None:
        """Take it down. Nothing is called back afterwards."""
        self._on_end = None
        self._loop.remove_reader(self._bus.get_pollfd().fd)
        await asyncio.to_thread(self._pipeline.set_state, Gst.State.NULL)
        # GObject's closures hold us and we hold their objects: Python's collector can't see
        # through that, and what the elements hold would stay.
        for element, handler in self._listening:
            element.disconnect(handler)
        self._listening.clear()
        self._pipeline = self._sink = self._bus = None

    def force_keyframe(self) -> None:
        """Ask the encoder, wherever it is upstream, for a keyframe now."""
        if self._on_end is None:
            return
        event = GstVideo.video_event_new_upstream_force_key_unit(Gst.CLOCK_TIME_NONE, True, 0)
        self._sink.get_static_pad("sink").push_event(event)

    def _wake(self, _sink: Any) -> Any:
        # On GStreamer's thread: only ring the bell, the appsink holds the sample.
        self._loop.call_soon_threadsafe(self._drain)
        return Gst.FlowReturn.OK

    def _drain(self) -> None:
        while self._on_end is not None:
            sample = self._sink.try_pull_sample(0)
            if sample is None:
                return
            try:
                picture = self._read_sample(sample)
            except MediaError as error:
                self._end(f"its H.264 can't be understood: {error}")
                return
            if picture is not None:
                self._on_picture(picture)

    def _read_sample(self, sample: Any) -> Picture | None:
        caps = sample.get_caps()
        if self._format is None or not caps.is_equal(self._format.caps):
            self._format = _read_format(caps)
        buffer = sample.get_buffer()
        # Encoders may shift their time stamps (x264enc by 1000 h); the segment undoes that.
        running_ns = sample.get_segment().to_running_time(Gst.Format.TIME, buffer.pts)
        if running_ns == Gst.CLOCK_TIME_NONE:
            _log.debug("a picture without time is passed over")
            return None
        clock_ns = self._pipeline.get_base_time() + running_ns
        keyframe = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        size = buffer.get_size()
        # Without its old time stamps; the bytes are shared, not copied.
        copy = buffer.copy_region(Gst.BufferCopyFlags.FLAGS | Gst.BufferCopyFlags.MEMORY, 0, size)
        copy.pts = clock_ns
        data = buffer.extract_dup(0, size)
        return Picture(data, clock_ns, keyframe, copy, self._format)

    def _read_bus(self) -> None:
        while (message := self._bus.pop()) is not None:
            match message.type:
                case Gst.MessageType.ERROR:
                    error, debug = message.parse_error()
                    _log.debug("%s: %s", message.src.get_name(), debug)
                    self._end(f"{error.message.rstrip('.')} ({message.src.get_name()})")
                case Gst.MessageType.EOS:
                    self._end("the stream ended")
                case Gst.MessageType.ASYNC_DONE if self._loops:
                    self._seek_first_or_play()
                case Gst.MessageType.SEGMENT_DONE if self._loops:
                    self._seek(Gst.SeekFlags.SEGMENT)

    def _seek_first_or_play(self) -> None:
        self._seeks_done += 1
        if self._seeks_done == 1:
            self._seek(Gst.SeekFlags.SEGMENT | Gst.SeekFlags.FLUSH)
        elif self._seeks_done == 2:
            self._pipeline.get_by_name("pace").set_property("sync", True)
            self._pipeline.set_state(Gst.State.PLAYING)

    def _seek(self, flags: Any) -> None:
        set_, none = Gst.SeekType.SET, Gst.SeekType.NONE
        if not self._pipeline.seek(1.0, Gst.Format.TIME, flags, set_, 0, none, 0):
            self._end("the clip can't be played from its beginning again")

    def _select_stream(self, _rtspsrc: Any, _number: int, caps: Any) -> bool:
        # On GStreamer's thread.
        with structure(caps) as stream:
            if stream.get_string("media") != "video":
                return False
            encoding = stream.get_string("encoding-name")
        if encoding != "H264":
            self._loop.call_soon_threadsafe(self._end, f"it sends {encoding}, H.264 is wanted")
        return bool(encoding == "H264")

    def _end(self, reason: str) -> None:
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(reason)


def _read_format(caps: Any) -> Format:
    with structure(caps) as stream:
        record = stream.get_value("codec_data")
    return Format(caps, parse_avcc(record.extract_dup(0, record.get_size())))
