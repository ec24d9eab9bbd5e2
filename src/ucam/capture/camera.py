"""The camera: pictures in runs of numbered access units, and the sound beside them.

A pipeline that fails, or gives no picture for ten seconds, is taken down and built anew after a
growing pause (see `feed`). Each pipeline begins a new run; so do new parameter sets, sound that
comes or goes, and a step of the system clock (always at a keyframe).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ucam.capture.audio import Microphone
from ucam.capture.clock import CaptureClock
from ucam.capture.coded import Picture, Sound
from ucam.capture.config import Audio, Video
from ucam.capture.drift import Drift, Jumped
from ucam.capture.encoder import Encoder, EncoderError, choose_encoder
from ucam.capture.feed import Feed, NoSource
from ucam.capture.gst import ThisMachine, has_element, proves
from ucam.capture.pipeline import Pipeline, PipelineError, fragment_gives
from ucam.capture.run import Run
from ucam.capture.sources import Machine, Plan, SourceError, launch_text, plan
from ucam.capture.systemclock import SystemClock
from ucam.media.access_unit import AccessUnit
from ucam.media.errors import MediaError
from ucam.media.h264 import is_whole
from ucam.media.track import VideoTrack

_log = logging.getLogger(__name__)
# So long the pictures wait for the microphone at the start: their first run has sound then.
SOUND_COMES_WITHIN_S = 1.5


@dataclass(frozen=True, slots=True)
class Captured:
    """An access unit, its run, and the picture (or sound, as `unit.audio` says) as GStreamer has
    it.
    """

    run: Run
    unit: AccessUnit
    picture: Picture | Sound


class Camera:
    """Captures as `video` and `audio` say and hands every access unit to `on_captured`, in the
    loop: at once while it is `watched`, else within a moment.
    """

    def __init__(
        self,
        video: Video,
        on_captured: Callable[[Captured], None],
        audio: Audio | None = None,
        machine: Machine | None = None,
        system_clock: SystemClock | None = None,
        watched: Callable[[], bool] = lambda: True,
    ) -> None:
        self._video = video
        self._on_captured = on_captured
        self._watched = watched
        self._machine: Machine = machine or ThisMachine()
        self._system_clock = system_clock or SystemClock()
        self._pipeline: Pipeline[Picture] | None = None
        self._end: Callable[[str], None] = lambda _: None
        self._drift: Drift | None = None
        self._clock: CaptureClock | None = None
        self._run: Run | None = None
        self._format: object = None
        self._number = 0
        self._new_run_why: str | None = "the camera was started"
        self._unfit: set[str] = set()  # encoders that came up, and then gave no picture
        self._feed = Feed(
            f"camera {video.source.partition(':')[0]}",
            "picture",
            self._build,
            looked=self._follow_clock,
            ended=self._ended,
        )
        self.microphone: Microphone | None = None
        if audio is not None and audio.source != "none":
            self.microphone = Microphone(
                audio, self._machine, self._take_sound, self._sound_changed
            )
        self.encoder: Encoder | None = None
        self.source = video.source.partition(":")[0]
        self.chosen: str | None = None
        self.replays = False

    @property
    def run_now(self) -> Run | None:
        """The run that access units come in, None while there are none."""
        return self._run if self.frames_advance else None

    @property
    def frames_advance(self) -> bool:
        """Whether pictures came lately."""
        return self._feed.flows

    @property
    def fault(self) -> str | None:
        """Why there are no pictures."""
        return self._feed.fault

    @property
    def restarts(self) -> int:
        """How often the source had to be built anew."""
        return self._feed.restarts

    def force_keyframe(self) -> None:
        """Ask for a keyframe now, where there is an encoder to ask."""
        if self._pipeline is not None:
            self._pipeline.force_keyframe()

    async def run(self) -> None:
        """Capture for ever. Cancel to end."""
        async with asyncio.TaskGroup() as tasks:
            if self.microphone is not None:
                tasks.create_task(self.microphone.run())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SOUND_COMES_WITHIN_S):
                        await self.microphone.first.wait()
            await self._feed.run()

    async def _build(self, on_end: Callable[[str], None]) -> Pipeline[Picture]:
        try:
            # Devices are opened to prove them, which blocks.
            source = await asyncio.to_thread(plan, self._video, self._machine)
            self.source, self._feed.name = source.name, f"camera {source.name}"
            gives = fragment_gives(source.launch) if source.gives == "unknown" else source.gives
            await self._choose_encoder(gives == "pictures")
            self._tell(source)
            if gives != "pictures":
                source = replace(source, gives=gives)
            pipeline = Pipeline(
                source.name,
                launch_text(source, self._video, self.encoder),
                Picture,
                self._take,
                on_end,
                loops=source.loops,
                fragment=self._video.source.startswith("gst:"),
                waited_for=self._is_waited_for,
            )
        except (SourceError, EncoderError, PipelineError) as error:
            raise NoSource(str(error)) from None
        self._run, self._pipeline, self._end = None, pipeline, on_end
        # An IP camera's pictures have the times of its own clock.
        self._drift = Drift() if source.gives == "H264 or H265" else None
        self._clock = CaptureClock(*self._system_clock.read())
        return pipeline

    def _is_waited_for(self) -> bool:
        # An IP camera's clock is followed by when its pictures come; sound comes beside them.
        return self._watched() or self._drift is not None or self.microphone is not None

    async def _choose_encoder(self, needed: bool) -> None:
        # Without an encoder of our own a viewer starts with the pictures since the last keyframe.
        self.replays = not needed
        self.encoder = None
        if not needed:
            return
        unfit, self._unfit = self._unfit, set()
        self.encoder = await asyncio.to_thread(
            choose_encoder,
            self._video.encoder,
            has_element,
            lambda name: name not in unfit and proves(name),
        )
        self._unfit = unfit

    def _tell(self, source: Plan) -> None:
        how = f"{self.encoder.name} ({self.encoder.why})" if self.encoder else "passed through"
        self.chosen = f"source {source.name} ({source.why}), encoder {how}"
        _log.info("camera: %s", self.chosen)

    def _ended(self, reason: str) -> None:
        self._pipeline = None
        if self.encoder is not None and self._run is None and reason.endswith("(encoder)"):
            # It opened its device, and then didn't do what it is for: the next one is tried.
            self._unfit.add(self.encoder.name)
        self._new_run_why = reason

    def _follow_clock(self) -> None:
        assert self._clock is not None
        if self._clock.observe(*self._system_clock.read()):
            self._want_new_run("the system's clock was set")
        if self._drift is not None and self._drift.is_ahead:
            self._want_new_run("the camera began with older pictures")

    def _want_new_run(self, why: str) -> None:
        if self._new_run_why is None:
            _log.info("%s: a new run begins at the next keyframe", why)
            self._new_run_why = why
            self.force_keyframe()

    def _take(self, picture: Picture) -> None:
        self._feed.came()
        if not is_whole(picture.data):
            _log.warning(
                "camera %s: a picture with broken NAL unit lengths is dropped", self.source
            )
            return
        if picture.format is not self._format and self._format_differs(picture):
            self._new_run_why = self._new_run_why or "the camera changed its picture"
        if self._new_run_why is not None and picture.keyframe:
            self._begin_run(picture, self._new_run_why)
        try:
            clock_ns = self._on_our_clock(picture)
        except Jumped:
            self._end("its time stamps jumped")
            return
        run = self._run
        if run is None or self._clock is None or picture.format is not self._format:
            return  # nothing that can be decoded yet
        unit = AccessUnit(
            data=picture.data,
            pts_90k=clock_ns * 9 // 100_000,
            utc_us=self._clock.utc_us(clock_ns),
            keyframe=picture.keyframe,
            number=self._number,
        )
        self._number += 1
        self._on_captured(Captured(run, unit, picture))

    def _on_our_clock(self, picture: Picture) -> int:
        if self._drift is None:
            return picture.clock_ns
        return self._drift.correct(picture.clock_ns, time.monotonic_ns())

    def _take_sound(self, sound: Sound) -> None:
        run = self._run
        if run is None or run.audio is None or self._clock is None:
            return  # a run with sound comes with the next keyframe
        unit = AccessUnit(
            data=sound.data,
            pts_90k=sound.clock_ns * 9 // 100_000,
            utc_us=self._clock.utc_us(sound.clock_ns),
            keyframe=True,
            number=self._number - 1,
            audio=True,
        )
        self._on_captured(Captured(run, unit, sound))

    def _sound_changed(self) -> None:
        """The microphone has begun or ended: files hold either sound or none."""
        assert self.microphone is not None
        if self._run is not None and self._run.audio != self.microphone.track:
            self._want_new_run("sound came" if self.microphone.track else "the microphone failed")

    def _format_differs(self, picture: Picture) -> bool:
        if (
            self._run is None
            or picture.format.codec != self._run.track.codec
            or set(picture.format.parameter_sets) != set(self._run.track.parameter_sets)
        ):
            return True
        self._format = picture.format
        return False

    def _begin_run(self, picture: Picture, why: str) -> None:
        sets = picture.format.parameter_sets
        try:
            h265 = picture.format.codec == "h265"
            track = VideoTrack.h265(sets) if h265 else VideoTrack.h264(sets)
        except MediaError as error:
            self._feed.fault = f"{self._feed.name}: its parameter sets can't be read: {error}"
            return
        if self._drift is not None:
            self._drift.settle()
        if self._run is not None:
            # Read both clocks anew: a step is what brought us here, perhaps.
            self._clock = CaptureClock(*self._system_clock.read())
        audio = self.microphone.track if self.microphone is not None else None
        # Without a clock that is set, times are those since the boot; see `spool`.
        boot = None if self._clock is None or self._clock.is_set else self._system_clock.boot
        self._run = Run(track, audio, why=why, boot=boot)
        self._format, self._number = picture.format, 0
        self._new_run_why = None
        self._feed.fault = None
        _log.info(
            "run %s: %s, %d×%d%s",
            *(self._run.id, track.codec_string, track.width, track.height),
            ", with sound" if audio is not None else "",
        )
