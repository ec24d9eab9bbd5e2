"""One life of a GStreamer pipeline, of pictures or of sound: from its start to its first fault.

Everything runs on the system's monotonic clock, which goes on over restarts: `clock_ns` of a
picture compares with `time.monotonic_ns()` and with what other pipelines give.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ucam.capture import counter, gdp
from ucam.capture.coded import Coded, Format, read_format
from ucam.capture.gst import GLib, Gst, GstVideo, structure
from ucam.capture.pipe import Pipe, new_pipe
from ucam.capture.sources import DEPAYLOADERS, PARSERS, Gives

_log = logging.getLogger(__name__)
# Unsigned: from here on, a time is negative or none.
BEFORE_ALL = 1 << 63


class PipelineError(ValueError):
    """A pipeline that can't be built; the text says why."""


Item = TypeVar("Item", bound=Coded)


def fragment_gives(launch: str) -> Gives:
    """What a `gst:` fragment gives: pictures (to encode), or what is coded already; raises
    `PipelineError`.
    """
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
        return "H264"
    if names and names <= {"video/x-h265"}:
        return "H265"
    if "video/x-raw" in names:
        return "pictures"
    raise PipelineError(
        "[video] source gst: must end with one open pad of video/x-raw, video/x-h264 or"
        f" video/x-h265, but gives {', '.join(sorted(names)) or 'nothing that is known in advance'}"
    )


class Pipeline(Generic[Item]):
    """Built in NULL; `start`, items by `on_item`, at most one `on_end`, and always `stop`.

    Both callbacks come in the event loop. `item`: what it gives. `name`: for people. `loops`: play
    a clip again when it ends. `fragment`: a text from the configuration, which may be no live
    source. `on_the_second`: its running time counts from a full second of UTC. `waited_for`:
    whether somebody wants items at once. Raises `PipelineError`.
    """

    def __init__(
        self,
        name: str,
        launch: str,
        item: type[Item],
        on_item: Callable[[Item], None],
        on_end: Callable[[str], None],
        *,
        loops: bool = False,
        fragment: bool = False,
        on_the_second: bool = False,
        waited_for: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._item = item
        self._on_item = on_item
        self._on_end: Callable[[str], None] | None = on_end
        try:
            self._pipeline: Any = Gst.parse_launch(launch)
        except GLib.Error as error:
            raise PipelineError(f"source {name}: {error.message}") from None
        self._seeks = 0
        self._selected = ""  # what an IP camera sends
        self._format: Format | None = None
        self._pipeline.use_clock(Gst.SystemClock.obtain())
        if on_the_second:
            self._pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
            self._pipeline.set_base_time(time.monotonic_ns() + 10**9 - time.time_ns() % 10**9)
        self._out = self._pipeline.get_by_name("out")
        self._ends = new_pipe()
        self._pipeline.get_by_name("pipe").set_property("fd", self._ends[1])
        self._segment: Any = Gst.Segment()
        self._listening: list[tuple[Any, int]] = []
        self._probes: list[tuple[Any, int]] = []
        if (rtsp := self._pipeline.get_by_name("rtsp")) is not None:
            self._listening.append((rtsp, rtsp.connect("select-stream", self._select_stream)))
            self._listening.append((rtsp, rtsp.connect("pad-added", self._link_stream)))
        self._listening += counter.count(self._pipeline)
        # A text from the configuration must show whether it is live.
        self._paced = self._out if fragment else None
        if loops:
            self._paced = self._pipeline.get_by_name("pace")
            self._loop_by_seeks()
        self._bus = self._pipeline.get_bus()
        self._loop.add_reader(self._bus.get_pollfd().fd, self._read_bus)
        self._pipe = Pipe(self._ends[0], self._take, self._end, waited_for)

    async def start(self) -> None:
        """Set it going; what fails comes by `on_end`."""
        # What isn't live goes on when it has its first picture: see `_read_bus`.
        waits = self._paced is not None
        state = Gst.State.PAUSED if waits else Gst.State.PLAYING
        result = await asyncio.to_thread(self._pipeline.set_state, state)
        if waits and result == Gst.StateChangeReturn.NO_PREROLL:
            self._paced = None  # it is live
            result = await asyncio.to_thread(self._pipeline.set_state, Gst.State.PLAYING)
        if result == Gst.StateChangeReturn.FAILURE:
            self._read_bus()  # the element's own words, if it left any
            self._end("it does not start")

    async def stop(self) -> None:
        """Take it down. Nothing is called back afterwards."""
        self._on_end = None
        self._loop.remove_reader(self._bus.get_pollfd().fd)
        self._pipe.stop()
        await asyncio.to_thread(self._pipeline.set_state, Gst.State.NULL)
        # GObject's closures hold us and we hold their objects: Python's collector can't see
        # through that, and what the elements hold would stay.
        for element, handler in self._listening:
            element.disconnect(handler)
        for pad, probe in self._probes:
            pad.remove_probe(probe)
        self._listening.clear()
        self._probes.clear()
        self._pipeline = self._out = self._paced = self._bus = None
        for end in self._ends:
            os.close(end)

    def force_keyframe(self) -> None:
        """Ask the encoder, wherever it is upstream, for a keyframe now; somebody waits for it."""
        if self._on_end is None:
            return
        self._pipe.hurry()
        event = GstVideo.video_event_new_upstream_force_key_unit(Gst.CLOCK_TIME_NONE, True, 0)
        self._out.get_static_pad("sink").push_event(event)

    def _take(self, found: gdp.Packet) -> None:
        match found:
            case gdp.Caps(text):
                if self._format is None or self._format.caps != text:
                    self._format = read_format(text)
            case gdp.Segment(text):
                # Encoders may shift their time stamps (x264enc by 1000 h); it undoes that.
                event = Gst.Structure.new_from_string(text)
                self._segment = event.get_value("segment").copy()  # what it gives goes with it
            case gdp.Buffer(data, pts_ns, delta) if self._on_end is not None:
                running_ns = BEFORE_ALL
                if pts_ns is not None:
                    running_ns = self._segment.to_running_time(Gst.Format.TIME, pts_ns)
                if running_ns >= BEFORE_ALL or self._format is None:
                    _log.debug("what has no time, or one before the start, is passed over")
                    return
                clock_ns = self._pipeline.get_base_time() + running_ns
                self._on_item(self._item(data, clock_ns, not delta, self._format))

    def _read_bus(self) -> None:
        while (message := self._bus.pop()) is not None:
            match message.type:
                case Gst.MessageType.ERROR:
                    error, debug = message.parse_error()
                    _log.debug("%s: %s", message.src.get_name(), debug)
                    self._pipe.read()
                    self._end(f"{error.message.rstrip('.')} ({message.src.get_name()})")
                case Gst.MessageType.EOS:
                    self._pipe.read()
                    self._end("the stream ended")
                case Gst.MessageType.ASYNC_DONE if self._paced is not None:
                    # It would run as fast as it can.
                    self._paced.set_property("sync", True)
                    self._paced = None
                    self._pipeline.set_state(Gst.State.PLAYING)

    def _loop_by_seeks(self) -> None:
        """A clip's first pictures wait for the first seek, which makes it end as a segment; at each
        end it is sought again. Neither flushes nor ends of segments get through encoder and gdppay.
        """
        kind = Gst.PadProbeType
        pad = self._pipeline.get_by_name("pace").get_static_pad("sink").get_peer()

        def drop(_pad: Any, _info: Any) -> Any:
            return Gst.PadProbeReturn.DROP

        def hold(_pad: Any, _info: Any) -> Any:
            # On GStreamer's thread.
            self._loop.call_soon_threadsafe(seek)
            return Gst.PadProbeReturn.OK

        def seek() -> None:
            if not self._seeks and self._on_end is not None:
                self._seek(Gst.SeekFlags.SEGMENT | Gst.SeekFlags.FLUSH)
                pad.remove_probe(self._probes.pop()[1])

        def again(_pad: Any, info: Any) -> Any:
            # On GStreamer's thread.
            if info.get_event().type == Gst.EventType.SEGMENT_DONE:
                self._loop.call_soon_threadsafe(self._seek, Gst.SeekFlags.SEGMENT)
            return Gst.PadProbeReturn.OK

        for what, probe in (
            (kind.EVENT_FLUSH, drop),
            (kind.EVENT_DOWNSTREAM, again),
            (kind.BLOCK | kind.BUFFER, hold),
        ):
            self._probes.append((pad, pad.add_probe(what, probe)))

    def _seek(self, flags: Any) -> None:
        if self._on_end is None:
            return
        set_, none = Gst.SeekType.SET, Gst.SeekType.NONE
        self._seeks += 1
        event = Gst.Event.new_seek(1.0, Gst.Format.TIME, flags, set_, 0, none, 0)
        # Not by the pipeline, whose sink would seek in its pipe.
        if not self._out.get_static_pad("sink").push_event(event):
            self._end("the clip can't be played from its beginning again")

    def _select_stream(self, _rtspsrc: Any, _number: int, caps: Any) -> bool:
        # On GStreamer's thread. What is not selected is never sent.
        with structure(caps) as stream:
            if stream.get_string("media") != "video" or self._selected:
                return False
            encoding = str(stream.get_string("encoding-name"))
        if encoding not in DEPAYLOADERS:
            reason = f"it sends {encoding}; H.264 or H.265 is wanted (look into its settings)"
            self._loop.call_soon_threadsafe(self._end, reason)
            return False
        self._selected = encoding
        return True

    def _link_stream(self, _rtspsrc: Any, pad: Any) -> None:
        # On GStreamer's thread, before the first packet.
        if not self._selected:
            return
        launch = f"{DEPAYLOADERS[self._selected]} ! {PARSERS[self._selected]}"
        part = Gst.parse_bin_from_description(launch, True)
        self._pipeline.add(part)
        part.link(self._out)
        pad.link(part.get_static_pad("sink"))
        part.sync_state_with_parent()

    def _end(self, reason: str) -> None:
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            self._pipe.stop()
            on_end(reason)
