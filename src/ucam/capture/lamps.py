"""Lamps: the kernel's LEDs and those at GPIO pins."""

import contextlib
import logging
import subprocess
from pathlib import Path
from typing import Any, Protocol

from ucam.base.files import write_atomically
from ucam.base.service import Fault

_log = logging.getLogger(__name__)
LEDS = Path("/sys/class/leds")
# Waits for a word; when none comes because we have died, the kernel blinks at 10 Hz by itself: a
# lamp that a dead camera left on would say that all is well. systemd's SIGTERM is for us.
# The delays come with the trigger, and are root's until udev's rule has seen them.
GUARD = """trap '' TERM INT HUP
read -r word && exit
cd "$1" && echo timer > trigger || exit
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    echo 50 > delay_on && echo 50 > delay_off && exit
    sleep 0.1
done"""
GUARD_ENDS_WITHIN_S = 2.0


class Lamp(Protocol):
    """Something that shines."""

    def set(self, on: bool) -> None:
        """Switch it."""

    def close(self) -> None:
        """Give it back as it was found."""


class KernelLed:
    """A lamp of the kernel's LED class (`name` is a folder of `root`); its trigger comes back.

    `memory`: a file that keeps the trigger for after a crash. Raises `OSError` when the lamp isn't
    there or may not be written.
    """

    def __init__(self, name: str, root: Path = LEDS, memory: Path | None = None) -> None:
        folder = root / name
        self._brightness = folder / "brightness"
        self._trigger = folder / "trigger"
        self._memory = memory
        # The trigger in force stands in brackets among all that there are.
        words = self._trigger.read_text().split()
        found = next((word.strip("[]") for word in words if word.startswith("[")), "none")
        self._before = self._remembered() or found
        self._brightness_before = self._brightness.read_text().strip() or "0"
        maximum = folder / "max_brightness"
        self._on = maximum.read_text().strip() if maximum.exists() else "255"
        self._trigger.write_text("none")
        self._remember()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "ucam-led", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def set(self, on: bool) -> None:
        """Switch it."""
        self._brightness.write_text(self._on if on else "0")

    def close(self) -> None:
        """Give it back with the trigger and brightness it had."""
        if self._guard.returncode is not None:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._guard.communicate(b"done\n", GUARD_ENDS_WITHIN_S)
        self._brightness.write_text(self._brightness_before)
        self._trigger.write_text(self._before)
        if self._memory is not None:
            self._memory.unlink(missing_ok=True)

    def _remembered(self) -> str | None:
        """What the trigger was before a process that came to no good end took it."""
        try:
            return None if self._memory is None else self._memory.read_text().strip() or None
        except OSError:
            return None

    def _remember(self) -> None:
        if self._memory is not None:
            with contextlib.suppress(OSError):
                write_atomically(self._memory, self._before.encode())


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


def find_lamp(
    name: str | None, gpio: int | None, root: Path = LEDS, memory: Path | None = None
) -> Lamp | None:
    """The configured lamp; None where there is none, or it can't be used (told in the log)."""
    try:
        if name is not None:
            return KernelLed(name, root, memory)
        if gpio is not None:
            return PinLed(gpio)
    except OSError as error:
        _log.error("LED: %s; the camera works without it", error)
    return None
