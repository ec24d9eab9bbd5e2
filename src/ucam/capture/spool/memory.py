"""The part of the spool that is in memory: bounded, oldest first. No I/O.

Access units are counted by a position that never goes back. They stay until storage has confirmed
them, and a confirmed one as long as unconfirmed ones need its group of pictures: a new connection
begins at a keyframe, and storage, which counts, drops what it has. When the memory is full, the
oldest groups of pictures go (what is left then starts at a keyframe again); that is a loss only
where they are not on the disk.
"""

from collections import deque
from itertools import islice

from ucam.capture.spool.units import FULL, MAX_UNIT_BYTES, TOO_LARGE, Gap, Gaps, Spooled

# What goes at once when the memory is full. Group by group, a connection slower than the camera
# would have each group dropped while it is being sent: a session and a chunk for every second.
SLACK = 1 / 8


class Memory:
    """At most `max_bytes` of access units. What is lost goes to `gaps`."""

    def __init__(self, max_bytes: int, gaps: Gaps) -> None:
        self._max_bytes = max_bytes
        self._max_unit = min(max_bytes, MAX_UNIT_BYTES)
        self._gaps = gaps
        self._units: deque[Spooled] = deque()
        self._confirmed = 0  # how many of _units are confirmed, and kept for those behind them
        self._lost_group = False
        self.bytes = 0
        self.first = 0  # position of the oldest
        # Positions from the one up to the other are on the disk.
        self.on_disk_from = self.on_disk = 0
        # Something that isn't confirmed is on the disk alone.
        self.spilled = False

    def __len__(self) -> int:
        return len(self._units)

    @property
    def end(self) -> int:
        """The position behind the newest."""
        return self.first + len(self._units)

    @property
    def confirmed(self) -> int:
        """The position of the oldest that is not confirmed."""
        return self.first + self._confirmed

    @property
    def oldest(self) -> Spooled | None:
        """The oldest picture that is not confirmed."""
        behind = range(self._confirmed, len(self._units))
        return next((self._units[n] for n in behind if not self._units[n].unit.audio), None)

    @property
    def newest(self) -> Spooled | None:
        """What was captured last."""
        return self._units[-1] if self._units else None

    @property
    def is_nearly_full(self) -> bool:
        """Whether the oldest group may have to go before long."""
        return self.bytes > self._max_bytes * (1 - 2 * SLACK)

    @property
    def bytes_only_here(self) -> int:
        """Bytes of what is neither confirmed nor on the disk."""
        behind = max(self._confirmed, self.on_disk - self.first)
        # Asked several times a second: the shorter of the two sides is counted.
        if behind <= len(self._units) // 2:
            return self.bytes - sum(item.cost for item in islice(self._units, behind))
        return sum(item.cost for item in self.since(self.first + behind))

    def at(self, position: int) -> Spooled:
        """The access unit at a position between `first` and `end`."""
        return self._units[position - self.first]

    def since(self, position: int) -> list[Spooled]:
        """What is there from a position on. Takes as long as that is much."""
        count = min(len(self._units), self.end - position)
        return list(islice(reversed(self._units), max(0, count)))[::-1]

    def group_start(self, position: int) -> int:
        """Where the group of pictures of a position begins, as far as it is here."""
        while position > self.first and not (
            self.at(position).begins_group or self.at(position).run is not self.at(position - 1).run
        ):
            position -= 1
        return position

    def append(self, item: Spooled) -> bool:
        """Keep an access unit. False when something was lost for want of memory."""
        cost = item.cost
        fits = cost <= self._max_unit
        whole = not fits or self.bytes + cost <= self._max_bytes or self._make_room(cost)
        if fits and (not self._lost_group or item.begins_group):
            self._lost_group = False
            self._units.append(item)
            self.bytes += cost
            return whole
        # What it refers to is missing, or what comes refers to it: the rest of the group goes.
        self._lost_group = True
        unit = item.unit
        if not unit.audio:
            reason = FULL if fits else TOO_LARGE
            number = unit.number
            self._gaps.add(Gap(item.run.id, number, number, unit.utc_us, unit.utc_us, reason))
        return False

    def knows(self, run: str) -> bool:
        """Whether something of that run is here."""
        return any(item.run.id == run for item in self._units)

    def confirm(self, run: str, number: int) -> int:
        """Storage has everything up to `number` of `run`. How many units that confirmed.

        A run that isn't here confirms nothing.
        """
        if not self.knows(run):
            return 0
        before, reached, position = self._confirmed, False, 0
        for position, item in enumerate(self._units):
            unit = item.unit
            if item.run.id == run:
                reached = True
                if unit.number > number or (unit.audio and self._awaits_next(position, number)):
                    break
            elif reached:
                break
        else:
            position = len(self._units)
        self._confirmed = max(before, position)
        count = self._confirmed - before
        if self._confirmed:
            self.spilled = False
        self._forget_whole_groups()
        return count

    def _awaits_next(self, position: int, number: int) -> bool:
        """Whether this is sound behind the confirmed picture `number`. How much of it storage had
        when its fragment ended nobody says: the next picture confirms it, if one follows.
        """
        item = self._units[position]
        if item.unit.number != number:
            return False
        behind = islice(self._units, position, None)
        coming = next((each for each in behind if not each.unit.audio), None)
        return coming is None or (coming.run is item.run and coming.unit.number == number + 1)

    def _forget_whole_groups(self) -> None:
        """Drop confirmed units in front of the last keyframe that something needs."""
        while self._confirmed:
            end = self._next_group()
            if end is None or end > self._confirmed:
                return
            self.bytes -= sum(self._units.popleft().cost for _ in range(end))
            self.first += end
            self._confirmed -= end

    def _next_group(self) -> int | None:
        """Where the second group of pictures begins."""
        found = (n for n, item in enumerate(self._units) if n and item.begins_group)
        return next(found, None)

    def _make_room(self, cost: int) -> bool:
        """Drop the oldest groups; whether nothing was lost by it."""
        full = self._max_bytes - cost
        enough = full - int(self._max_bytes * SLACK)
        whole = True
        # For the slack alone, the group that is being captured doesn't go.
        while self._units and (
            self.bytes > full or (self.bytes > enough and self._next_group() is not None)
        ):
            whole = self._drop_oldest_group() and whole
        return whole

    def _pop(self) -> Spooled:
        item = self._units.popleft()
        self.bytes -= item.cost
        self.first += 1
        self._confirmed = max(0, self._confirmed - 1)
        return item

    def _drop_oldest_group(self) -> bool:
        """Whether nothing of it was lost."""
        lost: list[Spooled] = []
        while True:
            if not self._confirmed:
                if self.on_disk_from <= self.first < self.on_disk:
                    self.spilled = True
                else:
                    lost.append(self._units[0])
            dropped = self._pop()
            if not self._units:
                # The group that is being captured went, too: its rest can't be decoded, except
                # where its beginning is on the disk.
                self._lost_group = bool(lost)
                break
            coming = self._units[0]
            if coming.begins_group or coming.run is not dropped.run:
                break
        pictures = [item for item in lost if not item.unit.audio]
        if pictures:
            begin, end = pictures[0].unit, pictures[-1].unit
            run = pictures[0].run.id
            self._gaps.add(Gap(run, begin.number, end.number, begin.utc_us, end.utc_us, FULL))
        return not lost
