"""How a camera shows its state without the room: LED, systemd's readiness and watchdog."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ucam.base import service
from ucam.capture.config import Led as LedConfig
from ucam.capture.health import Health
from ucam.capture.lamps import LEDS, find_lamp
from ucam.capture.led import LOCATE_S, Led, choose
from ucam.capture.status import State
from ucam.capture.watchdog import Watchdog

_log = logging.getLogger(__name__)
LOOK_S = 0.5
HEALTH_S = 2.0
# Where systemd asks for nothing it costs nothing.
WATCHDOG_S = 1.0


class Signals:
    """`look` shows what is true at one moment, `run` does so for ever. Times are those of the event
    loop, in seconds. `memory`: a file for what the LED showed before.
    """

    def __init__(self, config: LedConfig, memory: Path | None = None, leds: Path = LEDS) -> None:
        lamp = find_lamp(config.name, config.gpio, leds, memory)
        self.led = Led(lamp) if lamp is not None else None
        self.health = Health()
        self._watchdog = Watchdog(min(WATCHDOG_S, service.watchdog_interval_s() or WATCHDOG_S))
        self._located_until_s = float("-inf")
        self._health_s = float("-inf")
        self._told_ready = False

    def locate(self, who: str, now_s: float) -> None:
        """Somebody wants to know which camera this is."""
        _log.info("%s asks where this camera is: its LED blinks for %.0f s", who, LOCATE_S)
        self._located_until_s = now_s + LOCATE_S

    async def run(self, state: Callable[[], State], kept: Callable[[], int]) -> None:
        """For ever. `kept`: how many pictures the spool has taken."""
        clock = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            if self.led is not None:
                tasks.create_task(self.led.run())
            while True:
                self.look(state(), kept(), clock.time())
                await asyncio.sleep(LOOK_S)

    def look(self, state: State, kept: int, now_s: float) -> None:
        """Show what is true now."""
        if now_s - self._health_s >= HEALTH_S:
            self._health_s = now_s
            self.health.look(now_s)
        if self.led is not None:
            self.led.show(
                choose(
                    frames_advance=state.frames_advance,
                    confirmed=state.recording == "stored",
                    web_away=not state.web_connected,
                    watched=bool(state.viewers),
                    located=now_s < self._located_until_s,
                )
            )
        if state.frames_advance and not self._told_ready:
            self._told_ready = True
            service.ready(f"capturing {state.source}")
        if self._watchdog.feeds(now_s, frames_advance=state.frames_advance, kept=kept):
            service.watchdog()
