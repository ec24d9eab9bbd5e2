"""The camera: pipelines one after the other for ever, and runs of numbered access units.

A pipeline that fails, or gives no picture for ten seconds, is taken down and built anew after a
growing pause. Each pipeline begins a new run; so do new parameter sets, and a step of the system
clock (always at a keyframe).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ucam.base.backoff import Backoff
from ucam.capture.clock import CaptureClock
from ucam.capture.config import Video
from ucam.capture.encoder import Encoder, EncoderError, choose_encoder
from ucam.capture.gst import has_element, proves
from ucam.capture.pipeline import Picture, Pipeline, PipelineError, fragment_encodes
from ucam.capture.run import Run
from ucam.capture.sources import Plan, SourceError, plan
from ucam.media.access_unit import AccessUnit
from ucam.media.errors import MediaError
from ucam.media.h264 import nals
from ucam.media.track import VideoTrack

_log = logging.getLogger(__name__)
STALL_S = 10.0
CLOCK_INTERVAL_S = 1.0
# A source that held on for so long is tried again without a long pause.
GOOD_AFTER_S = 20.0


@dataclass(frozen=True, slots=True)
class Captured:
    """An access unit, its run, and the picture as GStreamer has it."""

    run: Run
    unit: AccessUnit
    picture: Picture


class Camera:
    """Captures as `video` says and hands every access unit to `on_captured`, in the loop."""

    def __init__(self, video: Video, on_captured: Callable[[Captured], None]) -> None:
        self._video = video
        self._on_captured = on_captured
        self._pipeline: Pipeline | None = None
        self._clock: CaptureClock | None = None
        self._run: Run | None = None
        self._format: object = None
        self._number = 0
        self._new_run_wanted = False
        self._last_picture_s = float("-inf")
        self.encoder: Encoder | None = None
        self.source = video.source.partition(":")[0]
        self.replays = False
        self.fault: str | None = "the camera is starting"

    @property
    def run_now(self) -> Run | None:
        """The run that access units come in, None while there are none."""
        return self._run if self.frames_advance else None

    @property
    def frames_advance(self) -> bool:
        """Whether pictures came lately."""
        return self.fault is None and time.monotonic() - self._last_picture_s < STALL_S / 2

    def force_keyframe(self) -> None:
        """Ask for a keyframe now, where there is an encoder to ask."""
        if self._pipeline is not None:
            self._pipeline.force_keyframe()

    async def run(self) -> None:
        """Capture for ever. Cancel to end."""
        backoff = Backoff(first_s=0.5, longest_s=30)
        while True:
            began_s = time.monotonic()
            try:
                reason = await self._live_once()
            except (SourceError, EncoderError, PipelineError) as error:
                reason = str(error)
            self.fault = f"camera {self.source}: {reason}"
            if self._last_picture_s - began_s > GOOD_AFTER_S:
                backoff.reset()
            delay_s = backoff.next_delay_s()
            _log.error("%s; next try in %.1f s", self.fault, delay_s)
            await asyncio.sleep(delay_s)

    async def _live_once(self) -> str:
        source = plan(self._video, has_element, video_devices())
        self.source = source.name
        encodes = fragment_encodes(source.launch) if source.fragment else source.encodes
        self._choose_encoder(encodes)
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        pipeline = Pipeline(
            source, self._video, self.encoder, self._take, lambda r: _settle(ended, r)
        )
        self._run, self._new_run_wanted = None, True
        self._clock = CaptureClock(time.monotonic_ns(), time.time_ns())
        self._pipeline = pipeline
        try:
            self._log_start(source)
            await pipeline.start()
            return await self._watch(ended)
        finally:
            self._pipeline = None
            await pipeline.stop()

    def _choose_encoder(self, encodes: bool) -> None:
        self.encoder = choose_encoder(self._video.encoder, has_element, proves) if encodes else None
        # Without an encoder of our own a viewer starts with the pictures since the last keyframe.
        self.replays = not encodes

    def _log_start(self, source: Plan) -> None:
        how = f"{self.encoder.name} ({self.encoder.why})" if self.encoder else "passed through"
        _log.info("camera: source %s, encoder %s", source.name, how)

    async def _watch(self, ended: "asyncio.Future[str]") -> str:
        """Until the pipeline ends or stalls: why. Follows the system clock meanwhile."""
        began_s = time.monotonic()
        while True:
            done, _ = await asyncio.wait({ended}, timeout=CLOCK_INTERVAL_S)
            if done:
                return ended.result()
            self._follow_clock()
            if time.monotonic() - max(self._last_picture_s, began_s) > STALL_S:
                return f"no picture for {STALL_S:.0f} s"

    def _follow_clock(self) -> None:
        assert self._clock is not None
        if self._clock.observe(time.monotonic_ns(), time.time_ns()) and not self._new_run_wanted:
            _log.warning("the system clock stepped; a new run begins at the next keyframe")
            self._new_run_wanted = True
            self.force_keyframe()

    def _take(self, picture: Picture) -> None:
        self._last_picture_s = time.monotonic()
        if not _is_well_formed(picture.data):
            _log.warning(
                "camera %s: a picture with broken NAL unit lengths is dropped", self.source
            )
            return
        if picture.format is not self._format and self._format_differs(picture):
            self._new_run_wanted = True
        if self._new_run_wanted and picture.keyframe:
            self._begin_run(picture)
        run = self._run
        if run is None or self._clock is None or picture.format is not self._format:
            return  # nothing that can be decoded yet
        unit = AccessUnit(
            data=picture.data,
            pts_90k=picture.clock_ns * 9 // 100_000,
            utc_us=self._clock.utc_us(picture.clock_ns),
            keyframe=picture.keyframe,
            number=self._number,
        )
        self._number += 1
        self._on_captured(Captured(run, unit, picture))

    def _format_differs(self, picture: Picture) -> bool:
        if self._run is None or set(picture.format.parameter_sets) != set(
            self._run.track.parameter_sets
        ):
            return True
        self._format = picture.format
        return False

    def _begin_run(self, picture: Picture) -> None:
        try:
            track = VideoTrack.h264(picture.format.parameter_sets)
        except MediaError as error:
            self.fault = f"camera {self.source}: its parameter sets can't be read: {error}"
            return
        if self._run is not None:
            # Read both clocks anew: a step is what brought us here, perhaps.
            self._clock = CaptureClock(time.monotonic_ns(), time.time_ns())
        self._run, self._format, self._number = Run(track), picture.format, 0
        self._new_run_wanted = False
        self.fault = None
        _log.info("run %s: %s, %d×%d", self._run.id, track.codec_string, track.width, track.height)


def _is_well_formed(data: bytes) -> bool:
    try:
        return any(len(nal) > 0 for nal in nals(data))
    except MediaError:
        return False


def video_devices() -> tuple[Path, ...]:
    """This machine's cameras of the Video4Linux kind."""
    # From 10 on, a Raspberry Pi has its codecs and scalers there, not cameras.
    return tuple(sorted(Path("/dev").glob("video[0-9]")))


def _settle(ended: "asyncio.Future[str]", reason: str) -> None:
    if not ended.done():
        ended.set_result(reason)
