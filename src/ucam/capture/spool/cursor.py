"""Where sending stands in the spool: in memory, or in what is read back from the disk."""

from ucam.capture.spool.disk import DiskSpool
from ucam.capture.spool.memory import Memory
from ucam.capture.spool.reader import DiskReader
from ucam.capture.spool.units import Spooled


class Cursor:
    """`look` at the next access unit, `take` it; `rewind` to what isn't confirmed."""

    def __init__(self, memory: Memory, disk: DiskSpool | None) -> None:
        self._memory = memory
        self._disk = disk
        self._reader: DiskReader | None = None
        self._next = 0  # position in memory of what is sent next, when there is no reader
        self._last: tuple[str, int] | None = None  # run and number of the last picture taken

    def to_memory(self) -> None:
        """Go on with the oldest that memory has."""
        self._last = self._reader = None
        self._next = self._memory.first

    def to_disk(self, confirmed: tuple[str, int] | None) -> None:
        """Go on with the oldest that the disk has. `confirmed`: run and number."""
        assert self._disk is not None
        self._last = None
        self._reader = DiskReader(self._disk, self._disk.segments[0], confirmed=confirmed)

    @property
    def is_behind(self) -> bool:
        """Whether something waits, as far as that is known without reading."""
        return self._reader is not None or self._next < self._memory.end

    async def look(self) -> Spooled | None:
        """The next access unit as it is kept, if there is one."""
        if self._reader is None and self._next < self._memory.first:
            self._fall_back()
        reader = self._reader
        if reader is not None:
            position = reader.position
            if not reader.ahead and position is not None and position >= self._memory.first:
                self._reader, self._next = None, position
            elif await reader.fill():
                return reader.ahead[0]
            elif self._reader is reader:
                # All that was on the disk has been read.
                self._reader, self._next = None, max(self._memory.first, reader.end or 0)
        memory = self._memory
        if self._reader is not None or self._next < memory.first:
            return None
        # Confirmed pictures are sent for those that refer to them; sound is referred to by none.
        while self._next < memory.confirmed and memory.at(self._next).unit.audio:
            self._next += 1
        return memory.at(self._next) if self._next < memory.end else None

    def at_hand(self, most: int) -> list[Spooled]:
        """The next ones, as far as that is known at once: at most so many."""
        memory, begin = self._memory, self._next
        if self._reader is not None or begin < memory.confirmed:
            return []
        return [memory.at(position) for position in range(begin, min(begin + most, memory.end))]

    def take(self) -> None:
        """What `look` gave is being sent."""
        if self._reader is not None:
            self._note(self._reader.ahead.popleft())
        else:
            self.take_all([self._memory.at(self._next)])

    def take_all(self, items: list[Spooled]) -> None:
        """So are these, the first ones that `at_hand` gave."""
        self._next += len(items)
        for item in items:
            self._note(item)

    def _note(self, item: Spooled) -> None:
        if not item.unit.audio:
            self._last = item.run.id, item.unit.number

    def _fall_back(self) -> None:
        """What comes next has left the memory: it is on the disk, or lost."""
        wanted = self._next
        self._next = self._memory.first
        segments = () if self._disk is None else self._disk.segments
        for segment in segments:
            if segment.position is not None and segment.position + segment.count > wanted:
                assert self._disk is not None
                self._reader = DiskReader(self._disk, segment, after=self._last)
                return
