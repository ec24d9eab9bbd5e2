"""Pipelines one after the other, for ever: what ends, fails or falls silent is built anew."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from ucam.base.backoff import Backoff

_log = logging.getLogger(__name__)
# Told within ten seconds.
STALL_S = 9.0
LOOK_S = 1.0
# A source that held on for so long is tried again without a long pause.
GOOD_AFTER_S = 20.0


class NoSource(ValueError):  # noqa: N818 - a state of the world, not a mistake
    """There is nothing to build a pipeline from; the text says why and what to do."""


class Running(Protocol):
    """A pipeline (see `ucam.capture.pipeline`)."""

    async def start(self) -> None:
        """Set it going."""

    async def stop(self) -> None:
        """Take it down."""


class Feed:
    """Keeps a pipeline going. `name`: for people. `missing`: what is told when nothing comes.

    `build` makes a pipeline that calls its argument with the reason of its end; it may raise
    `NoSource`. `came` is to be called with everything that comes. `looked` is called about every
    second while a pipeline runs, `ended` at its end with the reason.
    """

    def __init__(
        self,
        name: str,
        missing: str,
        build: Callable[[Callable[[str], None]], Awaitable[Running]],
        *,
        looked: Callable[[], None] = lambda: None,
        ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._missing = missing
        self._build = build
        self._looked = looked
        self._ended = ended
        self._last_s = float("-inf")
        self.restarts = 0
        self.fault: str | None = f"{name} is starting"

    @property
    def flows(self) -> bool:
        """Whether something came lately."""
        return self.fault is None and time.monotonic() - self._last_s < STALL_S / 2

    def came(self) -> None:
        """Something came."""
        self._last_s = time.monotonic()

    async def run(self) -> None:
        """For ever. Cancel to end."""
        backoff = Backoff(first_s=0.5, longest_s=30)
        while True:
            began_s = time.monotonic()
            try:
                reason = await self._live_once()
            except NoSource as error:
                reason = str(error)
            self.fault = f"{self.name}: {reason}"
            self._ended(reason)
            if self._last_s - began_s > GOOD_AFTER_S:
                backoff.reset()
            delay_s = backoff.next_delay_s()
            _log.error("%s; next try in %.1f s", self.fault, delay_s)
            self.restarts += 1
            await asyncio.sleep(delay_s)

    async def _live_once(self) -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        pipeline = await self._build(lambda reason: _settle(ended, reason))
        try:
            await pipeline.start()
            return await self._watch(ended)
        finally:
            await pipeline.stop()

    async def _watch(self, ended: "asyncio.Future[str]") -> str:
        """Until the pipeline ends or stalls: why."""
        began_s = time.monotonic()
        while True:
            done, _ = await asyncio.wait({ended}, timeout=LOOK_S)
            if done:
                return ended.result()
            self._looked()
            if time.monotonic() - max(self._last_s, began_s) > STALL_S:
                return f"no {self._missing} for {STALL_S:.0f} s"


def _settle(ended: "asyncio.Future[str]", reason: str) -> None:
    if not ended.done():
        ended.set_result(reason)
