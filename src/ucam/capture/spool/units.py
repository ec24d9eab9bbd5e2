"""What a spool holds, and what it had to give up. No I/O."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ucam.capture.run import Run
from ucam.media.access_unit import AccessUnit

# What an access unit costs in memory beside its bytes: objects and lists, measured roughly.
OVERHEAD_BYTES = 400
# No camera's picture is as large; what says it is, is damaged.
MAX_UNIT_BYTES = 16 << 20
MAX_GAPS = 64
# Why something is missing, as storage tells it.
FULL = "the camera's spool was full: storage was away, or too slow, for too long"
TOO_LARGE = "a picture was too large to be kept"
DAMAGED = "the camera's spool on disk is damaged"


class Spooled(NamedTuple):
    """An access unit, of pictures or of the sound beside them, and the run it belongs to."""

    run: Run
    unit: AccessUnit

    @property
    def cost(self) -> int:
        """Bytes of memory it stands for."""
        return len(self.unit.data) + OVERHEAD_BYTES

    @property
    def begins_group(self) -> bool:
        """Whether it can be decoded without what came before."""
        return self.unit.keyframe and not self.unit.audio


@dataclass(frozen=True, slots=True)
class Gap:
    """Pictures `first`…`last` of a run that were dropped; times in microseconds of UTC."""

    run: str
    first: int
    last: int
    from_us: int
    to_us: int
    reason: str


class Gaps:
    """What was dropped and never confirmed, oldest first; at most `MAX_GAPS` of them.

    `changed` becomes true with each change, for whoever keeps them on disk.
    """

    def __init__(self) -> None:
        # Full: the oldest is forgotten here; its access units are missing all the same.
        self._gaps: deque[Gap] = deque(maxlen=MAX_GAPS)
        self.changed = False

    def __iter__(self) -> Iterator[Gap]:
        return iter(tuple(self._gaps))

    def add(self, gap: Gap) -> None:
        """Remember a gap; one that goes on where the last ended is the same."""
        before = self._gaps[-1] if self._gaps else None
        if (
            before is not None
            and (before.run, before.reason) == (gap.run, gap.reason)
            and before.last + 1 >= gap.first
        ):
            self._gaps[-1] = Gap(
                gap.run, before.first, gap.last, before.from_us, gap.to_us, gap.reason
            )
        else:
            self._gaps.append(gap)
        self.changed = True

    def confirm(self, run: str, number: int) -> None:
        """What was sent before it was dropped here may well have arrived; and a gap that lies
        behind what storage has was told to it.
        """
        kept = [gap for gap in self._gaps if gap.run != run or gap.last > number]
        if len(kept) != len(self._gaps):
            self._gaps = deque(kept, maxlen=MAX_GAPS)
            self.changed = True

    def reason_before(self, run: str, number: int) -> str | None:
        """Why the pictures before that one are missing, if they were dropped here."""
        for gap in reversed(self._gaps):
            if gap.run == run and gap.first < number <= gap.last + 1:
                return gap.reason
        return None
