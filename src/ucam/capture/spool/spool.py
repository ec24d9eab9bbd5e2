"""The spool: access units in the order they came, run after run, until storage has them durably.

Writing to the disk begins when storage is away, with everything that isn't confirmed, and ends when
nothing old is left: an SD card isn't worn by normal running. What an earlier process left on the
disk is sent first, in its own runs and with its numbers.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ucam.capture.run import Run
from ucam.capture.spool.boots import Boots
from ucam.capture.spool.cursor import Cursor
from ucam.capture.spool.disk import DiskSpool
from ucam.capture.spool.files import Segment
from ucam.capture.spool.memory import Memory
from ucam.capture.spool.units import DAMAGED, FULL, Gap, Gaps, Spooled
from ucam.media.access_unit import AccessUnit

# How often what is new goes to the disk, while storage is away: a power cut loses that much.
WRITE_S = 0.25
OPEN_S = 10.0
# Storage confirms every two seconds what is at most a second old: within this all is as usual.
SETTLED_S = 4.5


class Spool:
    """At most `max_memory` bytes in memory and `max_disk` in `folder` (None: no disk).

    `boot`: this boot of the machine. `run` must run for the disk to be used.
    """

    def __init__(
        self,
        max_memory: int,
        folder: Path | None = None,
        max_disk: int = 0,
        *,
        boot: str = "",
    ) -> None:
        self._gaps = Gaps()
        self._memory = Memory(max_memory, self._gaps)
        self._disk = (
            None if folder is None else DiskSpool(folder, max_disk, self._gaps, self._dropped)
        )
        self._boots = Boots(boot)
        self._cursor = Cursor(self._memory, self._disk)
        self._confirmed: tuple[str, int] | None = None
        self._confirmed_us: int | None = None
        self._news = asyncio.Event()
        self._opened = asyncio.Event()
        if self._disk is None:
            self._opened.set()
        self._spools = False  # what comes goes to the disk as well
        self._step: asyncio.Future[None] | None = None

    # What is known

    @property
    def memory(self) -> int:
        """Bytes of memory in use, at most `max_memory`."""
        return self._memory.bytes

    @property
    def on_disk(self) -> int:
        """Bytes of files, at most `max_disk`."""
        return 0 if self._disk is None else self._disk.bytes

    @property
    def fault(self) -> str | None:
        """Why nothing can be written to the disk, as a part of a sentence."""
        return None if self._disk is None else self._disk.fault

    @property
    def unconfirmed(self) -> bool:
        """Whether there is something that storage has not confirmed."""
        return self._memory.oldest is not None or self._is_older_on_disk()

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes of what storage has not confirmed, as far as that is known."""
        return self._memory.bytes_only_here + self.on_disk

    @property
    def unconfirmed_s(self) -> float:
        """The time from the oldest unconfirmed to the newest access unit, in seconds."""
        oldest_us, newest = self._oldest_us(), self._memory.newest
        if oldest_us is None:
            return 0.0
        newest_us = None if newest is None else self._boots.utc_us(newest.run, newest.unit.utc_us)
        if newest_us is None:
            newest_us = oldest_us + self._disk_extent_us()
        return max(0, newest_us - oldest_us) / 1e6

    @property
    def bytes_a_second(self) -> float:
        """How fast it is captured, as far as memory tells."""
        memory = self._memory
        if not len(memory):
            return 0.0
        span_us = memory.at(memory.end - 1).unit.utc_us - memory.at(memory.first).unit.utc_us
        return memory.bytes / (span_us / 1e6) if span_us > 0 else 0.0

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was dropped and never confirmed, oldest first."""
        return tuple(self._gaps)

    @property
    def waits_for_clock(self) -> bool:
        """Whether what comes next can't be sent, because nobody knows when it was."""
        run = self._first_run()
        return run is not None and self._boots.utc_us(run, 0) is None

    def awaits(self, run: str, number: int) -> bool:
        """Whether an access unit of that run, up to that number, is unconfirmed."""
        if self._is_older_on_disk():
            assert self._disk is not None
            oldest = self._disk.segments[0]
            done = self._confirmed
            first = done[1] + 1 if done is not None and done[0] == run else oldest.first
            return oldest.run.id == run and first <= number
        item = self._memory.oldest
        return item is not None and item.run.id == run and item.unit.number <= number

    def why_missing(self, item: Spooled) -> str:
        """Why pictures before this one are missing, if some are."""
        run, number = item.run, item.unit.number
        found = self._gaps.reason_before(run.id, number)
        if found is not None:
            return found
        earlier = [gap for gap in self._gaps if gap.run != run.id]
        if number == 0 and earlier:
            return earlier[-1].reason
        return run.why if number == 0 else DAMAGED

    # What comes

    def append(self, run: Run, unit: AccessUnit) -> bool:
        """Keep an access unit. False when something was lost for want of room: see `gaps`."""
        whole = self._memory.append(Spooled(run, unit))
        self._news.set()
        return whole

    def clock_set(self, offset_us: int) -> None:
        """UTC is known now: so many µs more than this boot's monotonic clock."""
        own = self._boots.own
        self._boots.offsets_us[own] = offset_us
        newest = self._memory.newest
        untimed = newest is not None and newest.run.boot is not None
        if self._disk is not None and (
            untimed or any(each.run.boot is not None for each in self._disk.segments)
        ):
            self._disk.boots[own] = offset_us
            self._disk.notes_changed = True
        self._news.set()

    def wake(self) -> None:
        """Whoever waits for an access unit looks again."""
        self._news.set()

    # What goes

    async def peek(self) -> Spooled:
        """The next access unit to send, with its time in UTC; waits for one."""
        while True:
            self._news.clear()
            if (item := await self.poll()) is not None:
                return item
            await self._news.wait()

    async def poll(self) -> Spooled | None:
        """The same; None when there is none now."""
        await self._opened.wait()
        item = await self._cursor.look()
        return None if item is None else self._boots.timed(item)

    def at_hand(self, most: int) -> list[Spooled]:
        """What `peek` would give next and next again, with nothing to wait for: at most so many,
        none where times aren't known yet.
        """
        found = []
        for item in self._cursor.at_hand(most):
            if item.run.boot is None:
                found.append(item)
            elif (timed := self._boots.timed(item)) is not None:
                found.append(timed)
            else:
                break
        return found

    def take(self) -> None:
        """What `peek` gave is being sent; it stays here until it is confirmed."""
        self._cursor.take()

    def take_all(self, items: list[Spooled]) -> None:
        """The same of these, the first ones that `at_hand` gave."""
        self._cursor.take_all(items)

    @property
    def is_behind(self) -> bool:
        """Whether more waits to be sent, as far as that is known at once."""
        return self._cursor.is_behind

    def rewind(self) -> None:
        """A new connection: sending starts again, with the keyframe at or before what is not
        confirmed.
        """
        if self._is_older_on_disk():
            self._cursor.to_disk(self._confirmed)
        else:
            self._cursor.to_memory()

    def confirm(self, run: str, number: int, utc_us: int = 0) -> None:
        """Storage has everything up to `number` of `run`, which is of that time.

        A run that isn't here (of an earlier process) confirms nothing.
        """
        self._gaps.confirm(run, number)
        here = self._memory.knows(run)
        on_disk = self._disk is not None and self._disk.confirm(run, number)
        if here and not on_disk and self._disk is not None:
            self._disk.confirm_all()
        self._memory.confirm(run, number)
        if here or on_disk:
            self._confirmed, self._confirmed_us = (run, number), utc_us

    # The disk

    async def run(self, away: Callable[[], bool]) -> None:
        """Keep the disk as it should be, for ever. `away`: whether storage takes nothing."""
        if self._disk is None:
            return
        opening = asyncio.ensure_future(self._disk.open())
        if not (await asyncio.wait({opening}, timeout=OPEN_S))[0]:
            self._disk.late = True  # a disk that hangs must not keep what is new from being sent
            self._opened.set()
        await opening
        self._boots.offsets_us.update(self._disk.boots)
        self._opened.set()
        while True:
            await asyncio.sleep(WRITE_S)
            is_away = away()
            if is_away or self._spools or self.waits_for_clock or not self._disk.is_tidy:
                # A step that has begun goes to its end, so that it is known what is on the disk.
                self._step = asyncio.ensure_future(self._keep_up(is_away))
                await asyncio.shield(self._step)

    async def close(self) -> None:
        """Nothing more is captured or sent: what is not confirmed goes to the disk."""
        if self._disk is None:
            return
        if self._step is not None:
            await self._step
        if self._opened.is_set() and self.unconfirmed:
            await self._write_new()
        await self._close_segment()
        await self._disk.close()

    async def _keep_up(self, away: bool) -> None:
        assert self._disk is not None
        if self.waits_for_clock and self._boots.is_set:
            await self._boots.estimate(tuple(reversed(self._disk.segments)))
            self._disk.boots = dict(self._boots.offsets_us)
            self._disk.notes_changed = True
            self._news.set()
        if away:
            self._spools = True
        elif self._spools and self.unconfirmed_s < SETTLED_S:
            self._spools = False
            await self._close_segment()
        if self._spools:
            await self._write_new()
        await self._disk.tidy()

    async def _close_segment(self) -> None:
        """Nothing more goes into the one that is open: storage may have had all of it."""
        assert self._disk is not None
        await self._disk.close_segment()
        if self._confirmed is not None:
            self._disk.confirm(*self._confirmed)

    async def _write_new(self) -> None:
        """Everything that is not on the disk yet, as far as the disk takes it."""
        assert self._disk is not None
        memory = self._memory
        while self._disk.usable:
            position = max(memory.on_disk, memory.first)
            if position >= memory.end:
                return
            if not self._disk.continues(memory.at(position), position):
                position = memory.group_start(position)
            items = memory.since(position)
            written = await self._disk.write(items, position, urgent=memory.is_nearly_full)
            memory.on_disk_from = self._disk_from()
            if not written:
                return
            memory.on_disk = max(memory.on_disk, position + written)

    def _dropped(self, segment: Segment) -> None:
        """The disk had no room for this one any more."""
        memory = self._memory
        if segment.position is not None and segment.position >= memory.first:
            return  # it is in memory as well
        done = self._confirmed
        first = segment.first
        if done is not None and done[0] == segment.run.id:
            first = max(first, done[1] + 1)
        last = segment.last if segment.last is not None else first
        if last >= first:
            until_us = segment.last_us if segment.last_us is not None else segment.first_us
            self._gaps.add(Gap(segment.run.id, first, last, segment.first_us, until_us, FULL))

    def _disk_from(self) -> int:
        """The position of the oldest on the disk, of what this process captured."""
        assert self._disk is not None
        own = (each.position for each in self._disk.segments if each.position is not None)
        return next(own, self._memory.on_disk)

    def _is_older_on_disk(self) -> bool:
        """Whether the disk holds something that isn't confirmed and isn't in memory."""
        if self._disk is None or not self._disk.segments:
            return False
        return self._disk.segments[0].position is None or self._memory.spilled

    # Times

    def _first_run(self) -> Run | None:
        if self._disk is not None and self._disk.segments:
            return self._disk.segments[0].run
        item = self._memory.oldest
        return None if item is None else item.run

    def _oldest_us(self) -> int | None:
        item = self._memory.oldest
        if self._disk is not None and self._is_older_on_disk():
            segment = self._disk.segments[0]
            done = self._confirmed
            if done is not None and done[0] == segment.run.id and self._confirmed_us:
                return self._confirmed_us
            return self._boots.utc_us(segment.run, segment.first_us)
        return None if item is None else self._boots.utc_us(item.run, item.unit.utc_us)

    def _disk_extent_us(self) -> int:
        assert self._disk is not None
        first, last = self._disk.segments[0], self._disk.segments[-1]
        return (last.last_us or last.first_us) - first.first_us
