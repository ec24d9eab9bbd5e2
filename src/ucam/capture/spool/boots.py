"""Boots of the machine whose clock wasn't set: what makes UTC of their times.

Until the clock is set, access units have the time since the boot, and their run says which boot
that was. Its offset is known when the clock is set; that of a boot which ended before is estimated.
"""

import asyncio
import logging
from collections.abc import Iterable

from ucam.capture.run import Run
from ucam.capture.spool import files
from ucam.capture.spool.files import Segment
from ucam.capture.spool.units import Spooled

_log = logging.getLogger(__name__)


class Boots:
    """`own`: the present one. `offsets_us`: what to add, by boot."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.offsets_us: dict[str, int] = {}

    @property
    def is_set(self) -> bool:
        """Whether the clock has been set in this boot."""
        return self.own in self.offsets_us

    def utc_us(self, run: Run, us: int) -> int | None:
        """A time of that run in UTC; None as long as that isn't known."""
        if run.boot is None:
            return us
        offset_us = self.offsets_us.get(run.boot)
        return None if offset_us is None else us + offset_us

    def timed(self, item: Spooled) -> Spooled | None:
        """The access unit with its time in UTC; None as long as that isn't known."""
        if item.run.boot is None:
            return item
        utc_us = self.utc_us(item.run, item.unit.utc_us)
        return None if utc_us is None else Spooled(item.run, item.unit._replace(utc_us=utc_us))

    async def estimate(self, segments: Iterable[Segment]) -> None:
        """Earlier boots whose clock was never set, from the newest of all segments back to the
        oldest: each as if the power had come back at once. Their order and spacing are right,
        their distance to what follows is a guess.
        """
        began_us = self.offsets_us[self.own]  # UTC at the begin of the boot that follows
        last_boot = self.own
        for segment in segments:
            boot = segment.run.boot
            if boot is None or boot == last_boot:
                continue
            if boot not in self.offsets_us:
                try:
                    ended_us = await asyncio.to_thread(files.last_us, segment)
                except OSError as error:
                    _log.error("%s can't be read: %s", segment.path, error.strerror)
                    ended_us = None
                self.offsets_us[boot] = began_us - (ended_us or segment.first_us)
                _log.warning("an earlier boot had no clock: its pictures' times are estimated")
            began_us, last_boot = self.offsets_us[boot], boot
