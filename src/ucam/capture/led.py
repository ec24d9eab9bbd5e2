"""What the LED shows: patterns as plain objects, and the lamps that show them.

Of what is true at once, the first line of these is shown:

quick even blink (2 Hz)   somebody asked in the room where this camera is (30 s)
frantic (10 Hz)           not recording, or storage is away
slow blink                the web application is away
slow double blink         somebody watches live
steady on                 recording is confirmed by storage
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ucam.base.service import Fault

_log = logging.getLogger(__name__)
LEDS = Path("/sys/class/leds")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Durations in seconds, on and off by turns, beginning with on; repeated for ever.

    One duration alone is steady light.
    """

    name: str
    durations_s: tuple[float, ...]

    def at(self, since_s: float) -> tuple[bool, float]:
        """Whether the lamp is on `since_s` seconds after the start, and for how much longer."""
        if len(self.durations_s) == 1:
            return True, self.durations_s[0]
        left_s = since_s % sum(self.durations_s)
        for index, duration_s in enumerate(self.durations_s):
            if left_s < duration_s:
                return index % 2 == 0, duration_s - left_s
            left_s -= duration_s
        return True, self.durations_s[0]


STEADY = Pattern("steady", (1.0,))
DOUBLE_BLINK = Pattern("double blink", (0.15, 0.2, 0.15, 1.5))
SLOW_BLINK = Pattern("slow blink", (1.0, 1.0))
FRANTIC = Pattern("frantic", (0.05, 0.05))
LOCATE = Pattern("locate", (0.25, 0.25))
LOCATE_S = 30.0


def choose(
    *, frames_advance: bool, confirmed: bool, web_away: bool, watched: bool, located: bool = False
) -> Pattern:
    """The pattern for a camera's state: who looks for it first, then the worst trouble."""
    if located:
        return LOCATE
    if not (frames_advance and confirmed):
        return FRANTIC
    if web_away:
        return SLOW_BLINK
    return DOUBLE_BLINK if watched else STEADY


class Lamp(Protocol):
    """Something that shines."""

    def set(self, on: bool) -> None:
        """Switch it."""

    def close(self) -> None:
        """Give it back as it was found."""


class KernelLed:
    """A lamp of the kernel's LED class (`name` is a folder of `root`); its trigger comes back.

    Raises `OSError` when it isn't there or may not be written.
    """

    def __init__(self, name: str, root: Path = LEDS) -> None:
        folder = root / name
        self._brightness = folder / "brightness"
        self._trigger = folder / "trigger"
        # The trigger in force stands in brackets among all that there are.
        words = self._trigger.read_text().split()
        self._before = next((word.strip("[]") for word in words if word.startswith("[")), "none")
        self._brightness_before = self._brightness.read_text().strip() or "0"
        maximum = folder / "max_brightness"
        self._on = maximum.read_text().strip() if maximum.exists() else "255"
        self._trigger.write_text("none")

    def set(self, on: bool) -> None:
        """Switch it."""
        self._brightness.write_text(self._on if on else "0")

    def close(self) -> None:
        """Give it back with the trigger and brightness it had."""
        self._brightness.write_text(self._brightness_before)
        self._trigger.write_text(self._before)


class PinLed:
    """A lamp on a GPIO pin (BCM number), by gpiozero."""

    def __init__(self, gpio: int) -> None:
        try:
            import gpiozero
        except ModuleNotFoundError:
            raise Fault("[led] gpio needs gpiozero: apt install python3-gpiozero") from None
        try:
            self._led: Any = gpiozero.LED(gpio)
        except gpiozero.GPIOZeroError as error:
            raise OSError(f"GPIO {gpio}: {error}") from None

    def set(self, on: bool) -> None:
        """Switch it."""
        (self._led.on if on else self._led.off)()

    def close(self) -> None:
        """Switch it off and free the pin."""
        self._led.close()


class Led:
    """Shows the pattern of the moment on a lamp. Times are an argument, in seconds."""

    def __init__(self, lamp: Lamp) -> None:
        self._lamp = lamp
        self._begin_s: float | None = None
        self._on: bool | None = None
        self._changed = asyncio.Event()
        self.pattern = FRANTIC

    def show(self, pattern: Pattern) -> None:
        """Change the pattern, at once."""
        if pattern is not self.pattern:
            self.pattern, self._begin_s = pattern, None
            self._changed.set()

    def tick(self, now_s: float) -> float:
        """Switch the lamp as it should be now; how long it stays so. Raises `OSError`."""
        if self._begin_s is None:
            self._begin_s = now_s
        on, left_s = self.pattern.at(now_s - self._begin_s)
        if on != self._on:
            self._lamp.set(on)
            self._on = on
        return left_s

    async def run(self) -> None:
        """Blink until cancelled; then the lamp is as it was found."""
        clock = asyncio.get_running_loop()
        try:
            while True:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.tick(clock.time())):
                        await self._changed.wait()
        except OSError as error:
            _log.error("LED: %s; the camera works without it", error)
        finally:
            with contextlib.suppress(OSError):
                self._lamp.close()


def find_lamp(name: str | None, gpio: int | None, root: Path = LEDS) -> Lamp | None:
    """The configured lamp; None where there is none, or it can't be used (told in the log)."""
    try:
        if name is not None:
            return KernelLed(name, root)
        if gpio is not None:
            return PinLed(gpio)
    except OSError as error:
        _log.error("LED: %s; the camera works without it", error)
    return None
