"""What a camera has captured and storage has not confirmed: in memory, bounded.

Access units leave the spool in the order they came, run after run. They are kept until storage
says that they are durable; a new connection begins again behind the last confirmed one. When the
memory is full, the oldest group of pictures goes (what is left then starts at a keyframe again)
and the hole is remembered.
"""

from collections import deque
from dataclasses import dataclass

from ucam.capture.run import Run
from ucam.media.access_unit import AccessUnit

# What an access unit costs beside its bytes: objects and lists, measured roughly.
OVERHEAD_BYTES = 400
MAX_GAPS = 64


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
        self._bytes = 0
        self._lost_group = False
        # Full: the oldest gap is forgotten here; its access units are missing all the same.
        self._gaps: deque[Gap] = deque(maxlen=MAX_GAPS)

    @property
    def bytes(self) -> int:
        """Memory in use, at most `max_bytes`."""
        return self._bytes

    @property
    def waiting(self) -> int:
        """How many access units were not taken yet."""
        return len(self._units) - self._sent

    @property
    def seconds(self) -> float:
        """The time from the oldest to the newest access unit."""
        if not self._units:
            return 0.0
        return max(0, self._units[-1].unit.utc_us - self._units[0].unit.utc_us) / 1e6

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was dropped and never confirmed, oldest first."""
        return tuple(self._gaps)

    def append(self, run: Run, unit: AccessUnit) -> bool:
        """Keep an access unit. False when something was lost for want of memory: see `gaps`."""
        item = Spooled(run, unit)
        whole = True
        while self._units and self._bytes + item.cost > self._max_bytes:
            self._drop_oldest_group()
            whole = False
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
        """Storage has everything up to `number` of `run`: forget it. How many units went.

        A run that the spool doesn't know (before a restart of the camera) confirms nothing.
        """
        self._forget_gaps(run, number)
        if not any(item.run.id == run for item in self._units):
            return 0
        count, reached = 0, False
        while self._units:
            first = self._units[0]
            if first.run.id == run:
                reached = True
                if first.unit.number > number:
                    break
            elif reached:
                break
            self._pop()
            count += 1
        return count

    def resume(self) -> Spooled | None:
        """A new connection: sending starts again at the oldest unconfirmed unit, returned here."""
        self._sent = 0
        return self.peek()

    def _pop(self) -> Spooled:
        item = self._units.popleft()
        self._bytes -= item.cost
        self._sent = max(0, self._sent - 1)
        return item

    def _can_begin_or_follow(self, item: Spooled) -> bool:
        """Whether what it refers to is still here: the pictures since the last keyframe."""
        if item.cost > self._max_bytes:
            return False
        if item.unit.keyframe or not self._lost_group:
            self._lost_group = False
            return True
        return False

    def _drop_oldest_group(self) -> None:
        first = last = self._pop()
        while self._units:
            coming = self._units[0]
            if coming.unit.keyframe or coming.run is not first.run:
                break
            last = self._pop()
        # The group that is being captured went, too: its rest can't be decoded.
        self._lost_group = not self._units
        self._remember(
            Gap(
                first.run.id,
                first.unit.number,
                last.unit.number,
                first.unit.utc_us,
                last.unit.utc_us,
            )
        )

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
