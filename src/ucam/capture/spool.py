"""What a camera has captured and storage has not confirmed: in memory, bounded.

Access units leave the spool in the order they came, run after run. They are kept until storage
says that they are durable. A confirmed unit stays as long as unconfirmed ones need its group of
pictures: a new connection begins at a keyframe, and storage, which counts, drops what it has. When
the memory is full, the oldest groups of pictures go (what is left then starts at a keyframe
again) and the hole is remembered.
"""

from collections import deque
from dataclasses import dataclass

from ucam.capture.run import Run
from ucam.media.access_unit import AccessUnit

# What an access unit costs beside its bytes: objects and lists, measured roughly.
OVERHEAD_BYTES = 400
MAX_GAPS = 64
# What goes at once when the memory is full. Group by group, a connection slower than the camera
# would have each group dropped while it is being sent: a session and a chunk for every second.
SLACK = 1 / 8


@dataclass(frozen=True, slots=True)
class Spooled:
    """An access unit and the run it belongs to."""

    run: Run
    unit: AccessUnit

    @property
    def cost(self) -> int:
        """Bytes of memory it stands for."""
        return len(self.unit.data) + OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Gap:
    """Access units `first`…`last` of a run that were dropped; times in microseconds of UTC."""

    run: str
    first: int
    last: int
    from_us: int
    to_us: int


class Spool:
    """At most `max_bytes` of access units, oldest first, and the place where sending stands."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._units: deque[Spooled] = deque()
        self._sent = 0  # how many of _units were taken since the last resume()
        self._confirmed = 0  # how many of _units are confirmed, and kept for those behind them
        self._bytes = 0
        self._lost_group = False
        # Full: the oldest gap is forgotten here; its access units are missing all the same.
        self._gaps: deque[Gap] = deque(maxlen=MAX_GAPS)

    @property
    def memory(self) -> int:
        """Bytes of memory in use, at most `max_bytes`."""
        return self._bytes

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes of what storage has not confirmed."""
        return self._bytes - sum(self._units[n].cost for n in range(self._confirmed))

    @property
    def unconfirmed_s(self) -> float:
        """The time from the oldest unconfirmed to the newest access unit, in seconds."""
        if self._confirmed >= len(self._units):
            return 0.0
        first, last = self._units[self._confirmed].unit, self._units[-1].unit
        return max(0, last.utc_us - first.utc_us) / 1e6

    @property
    def waiting(self) -> int:
        """How many access units were not taken yet."""
        return len(self._units) - self._sent

    @property
    def unconfirmed(self) -> int:
        """How many access units storage has not confirmed."""
        return len(self._units) - self._confirmed

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was dropped and never confirmed, oldest first."""
        return tuple(self._gaps)

    def awaits(self, run: str, number: int) -> bool:
        """Whether an access unit of that run, up to that number, is unconfirmed."""
        if self._confirmed >= len(self._units):
            return False
        first = self._units[self._confirmed]
        return first.run.id == run and first.unit.number <= number

    def append(self, run: Run, unit: AccessUnit) -> bool:
        """Keep an access unit. False when something was lost for want of memory: see `gaps`."""
        item = Spooled(run, unit)
        whole = item.cost > self._max_bytes or self._make_room(item.cost)
        if self._can_begin_or_follow(item):
            self._units.append(item)
            self._bytes += item.cost
            return whole
        self._remember(Gap(run.id, unit.number, unit.number, unit.utc_us, unit.utc_us))
        return False

    def take(self) -> Spooled | None:
        """The next access unit to send; it stays in the spool until it is confirmed."""
        if self._sent >= len(self._units):
            return None
        item = self._units[self._sent]
        self._sent += 1
        return item

    def peek(self) -> Spooled | None:
        """What `take` would give."""
        return self._units[self._sent] if self._sent < len(self._units) else None

    def confirm(self, run: str, number: int) -> int:
        """Storage has everything up to `number` of `run`. How many units that confirmed.

        A run that the spool doesn't know (before a restart of the camera) confirms nothing.
        """
        self._forget_gaps(run, number)
        if not any(item.run.id == run for item in self._units):
            return 0
        before, reached = self._confirmed, False
        for position, item in enumerate(self._units):
            if item.run.id == run:
                reached = True
                if item.unit.number > number:
                    break
            elif reached:
                break
            self._confirmed = max(self._confirmed, position + 1)
        count = self._confirmed - before
        self._forget_whole_groups()
        return count

    def resume(self) -> Spooled | None:
        """A new connection: sending starts again, with the unit returned here: a keyframe, at or
        before the oldest unconfirmed unit.
        """
        self._sent = 0
        return self.peek()

    def _forget_whole_groups(self) -> None:
        """Drop confirmed units in front of the last keyframe that something needs."""
        while self._confirmed:
            end = self._next_group()
            if end is None or end > self._confirmed:
                return
            for _ in range(end):
                self._pop()

    def _next_group(self) -> int | None:
        """Where the second group of pictures begins."""
        return next((n for n in range(1, len(self._units)) if self._units[n].unit.keyframe), None)

    def _make_room(self, cost: int) -> bool:
        """Drop the oldest groups if need be; whether nothing unconfirmed was among them."""
        full = self._max_bytes - cost
        if self._bytes <= full:
            return True
        enough = full - int(self._max_bytes * SLACK)
        whole = True
        # For the slack alone, the group that is being captured doesn't go.
        while self._units and (
            self._bytes > full or (self._bytes > enough and self._next_group() is not None)
        ):
            whole = self._drop_oldest_group() and whole
        return whole

    def _pop(self) -> Spooled:
        item = self._units.popleft()
        self._bytes -= item.cost
        self._sent = max(0, self._sent - 1)
        self._confirmed = max(0, self._confirmed - 1)
        return item

    def _can_begin_or_follow(self, item: Spooled) -> bool:
        """Whether what it refers to is still here: the pictures since the last keyframe."""
        if item.cost > self._max_bytes:
            self._lost_group = True
            return False
        if item.unit.keyframe or not self._lost_group:
            self._lost_group = False
            return True
        return False

    def _drop_oldest_group(self) -> bool:
        """Whether nothing unconfirmed was in it."""
        lost: list[Spooled] = []
        while True:
            if not self._confirmed:
                lost.append(self._units[0])
            dropped = self._pop()
            if not self._units:
                # The group that is being captured went, too: its rest can't be decoded.
                self._lost_group = True
                break
            coming = self._units[0]
            if coming.unit.keyframe or coming.run is not dropped.run:
                break
        if lost:
            begin, end = lost[0].unit, lost[-1].unit
            self._remember(Gap(lost[0].run.id, begin.number, end.number, begin.utc_us, end.utc_us))
        return not lost

    def _remember(self, gap: Gap) -> None:
        before = self._gaps[-1] if self._gaps else None
        if before is not None and before.run == gap.run and before.last + 1 == gap.first:
            self._gaps[-1] = Gap(gap.run, before.first, gap.last, before.from_us, gap.to_us)
        else:
            self._gaps.append(gap)

    def _forget_gaps(self, run: str, number: int) -> None:
        # What was sent before it was dropped here may well have arrived.
        kept = [gap for gap in self._gaps if gap.run != run or gap.last > number]
        self._gaps = deque(kept, maxlen=MAX_GAPS)
