"""The microphone: Opus of 20 ms a frame, in a pipeline of its own.

A microphone that fails or falls silent takes nothing with it: pictures go on without sound, and
it is tried again for ever.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

from ucam.capture.coded import Sound
from ucam.capture.config import Audio
from ucam.capture.feed import Feed, NoSource
from ucam.capture.pipeline import Pipeline, PipelineError
from ucam.capture.sources import SINK, Machine, quoted
from ucam.media.track import AudioTrack

_log = logging.getLogger(__name__)
# ALSA's list of devices: "01-00: USB Audio : USB Audio : capture 1".
DEVICES = Path("/proc/asound/pcm")
_DEVICE = re.compile(r"(\d+)-(\d+): .*\bcapture \d+")
# One channel is what a camera's microphone has; the processor of a Pi 2 has little to spare.
ENCODER = (
    "audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1"
    " ! opusenc frame-size=20 bitrate=48000 complexity=5"
)
# Not async: a source that waits for its first second would never let the pipeline begin.
NOT_ASYNC = "async=false"
# A beep of 40 ms a second. Its samples are counted from running time 0, a full second of UTC; it
# may come a buffer (2 ms) early.
TEST = (
    "audiotestsrc wave=ticks freq=1000 sine-periods-per-tick=40 samplesperbuffer=96"
    " ! audio/x-raw,rate=48000,channels=1 ! clocksync"
)
# Further from now than this no sound can be.
MAX_APART_NS = 5_000_000_000
NEEDED = {"opusenc": "gstreamer1.0-plugins-base", "alsasrc": "gstreamer1.0-alsa"}


def audio_source(audio: Audio, machine: Machine, devices: Path = DEVICES) -> tuple[str, str]:
    """The microphone's name and launch text; raises `NoSource`."""
    wanted = audio.source
    if wanted == "test":
        _need(machine, "opusenc")
        return "test", TEST
    if wanted == "auto":
        wanted = f"alsa:{_first_device(devices)}"
    for element in NEEDED:
        _need(machine, element)
    device = wanted.partition(":")[2]
    # The pipeline's clock is the system's; the sound card's own drifts and is followed. The
    # driver's time stamps aren't taken: of some devices they are on another clock.
    return wanted, (
        f"alsasrc device={quoted(device)} provide-clock=false latency-time=20000"
        " use-driver-timestamps=false"
    )


def _need(machine: Machine, element: str) -> None:
    if not machine.has(element):
        raise NoSource(f"GStreamer's {element} is missing: install {NEEDED[element]}")


def _first_device(devices: Path) -> str:
    try:
        found = _DEVICE.search(devices.read_text())
    except OSError:
        found = None
    if found is None:
        raise NoSource("[audio] source auto: this machine has no microphone; see: arecord -l")
    return f"plughw:{int(found[1])},{int(found[2])}"


class Microphone:
    """Hands every frame of sound to `on_sound`, in the loop; `changed` when `track` changes."""

    def __init__(
        self,
        audio: Audio,
        machine: Machine,
        on_sound: Callable[[Sound], None],
        changed: Callable[[], None],
    ) -> None:
        self._audio = audio
        self._machine = machine
        self._on_sound = on_sound
        self._changed = changed
        self._end: Callable[[str], None] = lambda _: None
        self.first = asyncio.Event()
        self.track: AudioTrack | None = None
        self.feed = Feed("microphone", "sound", self._build, ended=self._ended)

    async def run(self) -> None:
        """Listen for ever. Cancel to end."""
        await self.feed.run()

    async def _build(self, on_end: Callable[[str], None]) -> Pipeline[Sound]:
        name, launch = audio_source(self._audio, self._machine)
        self.feed.name = f"microphone {name}"
        _log.info("%s: Opus", self.feed.name)
        self._end = on_end
        text = f"{launch} ! {ENCODER} ! {SINK} {NOT_ASYNC}"
        try:
            return Pipeline(name, text, Sound, self._take, on_end, on_the_second=name == "test")
        except PipelineError as error:
            raise NoSource(str(error)) from None

    def _take(self, sound: Sound) -> None:
        if abs(time.monotonic_ns() - sound.clock_ns) > MAX_APART_NS:
            self._end("it gives impossible times")
            return
        self.feed.came()
        if self.track is None:
            self.feed.fault = None
            self.track = AudioTrack.opus(min(2, sound.format.channels))
            self.first.set()
            self._changed()
        self._on_sound(sound)

    def _ended(self, _reason: str) -> None:
        self.track = None
        self._changed()
