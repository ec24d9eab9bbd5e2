"""What the LED shows: patterns as plain objects, and what shows them on a lamp.

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

from ucam.capture.lamps import Lamp

_log = logging.getLogger(__name__)


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
            self.close()

    def close(self) -> None:
        """Give the lamp back (it may be done twice)."""
        with contextlib.suppress(OSError):
            self._lamp.close()
