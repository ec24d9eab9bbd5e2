"""Reading segments back, in batches: what is sent after an outage or a restart."""

import asyncio
import logging
from collections import deque

from ucam.capture.spool import files
from ucam.capture.spool.disk import DiskSpool
from ucam.capture.spool.files import Segment
from ucam.capture.spool.units import Spooled

_log = logging.getLogger(__name__)
BATCH_BYTES = 1 << 20
# A group of pictures that is held while the last keyframe before what is wanted is looked for.
MAX_HELD = 4096


class DiskReader:
    """From `segment` on. `confirmed`: run and number up to which storage has everything; reading
    begins at the keyframe at or before what follows. `after`: instead, of the last picture that
    was sent on this connection; reading goes on behind it.
    """

    def __init__(
        self,
        disk: DiskSpool,
        segment: Segment,
        *,
        confirmed: tuple[str, int] | None = None,
        after: tuple[str, int] | None = None,
    ) -> None:
        self._disk = disk
        self._segment = segment
        self._offset: int | None = segment.start
        self._confirmed = confirmed
        self._held: list[Spooled] = []
        self._index = 0  # how many of the segment's access units were read
        self._last = after  # run and number of the last picture given
        self._skips = after is not None  # what stands here a second time
        self.ahead: deque[Spooled] = deque()

    @property
    def position(self) -> int | None:
        """Where in memory the access unit stands that comes behind `ahead`, if this process
        captured it; None for those of an earlier one.
        """
        return None if self._held else self.end

    @property
    def end(self) -> int | None:
        """The same, whatever stands before it."""
        segment = self._segment
        if segment.position is None:
            return None
        return segment.position + self._index

    async def fill(self) -> bool:
        """Read on, until something is ahead. False: there is nothing more on the disk now."""
        while not self.ahead:
            if self._offset is not None and self._offset < self._segment.size:
                await self._read()
            elif not self._next_segment():
                return False
        return True

    async def _read(self) -> None:
        segment = self._segment
        assert self._offset is not None
        try:
            batch = await asyncio.to_thread(files.read, segment, self._offset, BATCH_BYTES)
        except OSError as error:
            if segment in self._disk.segments:
                _log.error("%s can't be read: %s", segment.path, error.strerror)
                segment.failed = True
            self._offset = None
            return
        if batch.damaged:
            _log.warning("%s: its end is torn", segment.path)
        if batch.offset is None and segment.position is None:
            pictures = [unit for unit in batch.units if not unit.audio]
            if pictures:
                segment.last, segment.last_us = pictures[-1].number, pictures[-1].utc_us
        ended = batch.offset is None and (batch.damaged or segment.position is None)
        if batch.offset is not None:
            self._offset = batch.offset
        else:
            self._offset = None if ended else segment.size
        self._index += len(batch.units)
        for unit in batch.units:
            self._take(Spooled(segment.run, unit))

    def _next_segment(self) -> bool:
        """Go on with the segment behind this one, if there is one."""
        segments = self._disk.segments
        coming = next((each for each in segments if each.path > self._segment.path), None)
        if coming is None:
            return False
        self._segment, self._offset, self._index = coming, coming.start, 0
        return True

    def _is_wanted(self, held: Spooled, coming: Spooled) -> bool:
        """Whether what is confirmed goes before `coming`, the first that isn't: pictures that it
        may refer to; sound behind the last of them, which may not be stored with it.
        """
        if not held.unit.audio:
            return not coming.begins_group
        assert self._confirmed is not None
        return held.unit.number == self._confirmed[1]

    def _take(self, item: Spooled) -> None:
        run, number = item.run.id, item.unit.number
        if self._confirmed is not None and run == self._confirmed[0]:
            if number <= self._confirmed[1]:
                if item.begins_group or len(self._held) >= MAX_HELD:
                    self._held.clear()
                self._held.append(item)
                return
            self.ahead.extend(each for each in self._held if self._is_wanted(each, item))
            self._held.clear()
            self._confirmed = None
        if self._last is None or run != self._last[0]:
            self._skips = False
        elif not item.unit.audio:
            self._skips = number <= self._last[1]
        if self._skips:
            return
        if not item.unit.audio:
            self._last = run, number
        self.ahead.append(item)
