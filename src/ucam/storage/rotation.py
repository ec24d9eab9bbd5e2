"""How much may be kept, and what goes next: the arithmetic, without files or clocks.

The total is a running counter: closed chunks, the reservations of open ones, and what else ucam
keeps in the folder (index, folders). A reservation grows before the bytes are written, so the
total is an upper bound at every moment; files are counted in whole blocks for the same reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

BLOCK = 4096
# A chunk may take this share of `maxspace`, so that rotation goes in small steps.
CHUNK_SHARE = 8
SMALLEST_CHUNK = 256 * 1024


class NoSpace(Exception):  # noqa: N818 - a state of the disk that is told, not a mistake
    """Nothing more may be written, and nothing is left that may be deleted."""


def blocks(size: int) -> int:
    """What a file of `size` bytes takes, in whole blocks, in bytes."""
    return -(-size // BLOCK) * BLOCK


@dataclass(slots=True)
class Ledger:
    """What is taken and reserved, in bytes. `maxspace` None: only the disk itself is the limit.

    `reserve` stays free on the disk in any case.
    """

    maxspace: int | None
    reserve: int
    closed: int = 0
    fixed: int = 0
    _open: dict[int, list[int]] = field(default_factory=dict)  # id → [reserved, written]
    # Of all open ones together: with hundreds of them, adding them up each time is what costs.
    _reserved: int = 0
    _promised: int = 0  # reserved, and not written yet

    @property
    def total(self) -> int:
        """Everything that is in the folder or may be in the next moment."""
        return self.closed + self.fixed + self._reserved

    @property
    def open_chunks(self) -> int:
        """How many chunks are being written."""
        return len(self._open)

    def claim(self, chunk: int) -> bool:
        """Take an id for a chunk that is about to be opened; False if another one has it."""
        if chunk in self._open:
            return False
        self._open[chunk] = [0, 0]
        return True

    def _set(self, chunk: int, reserved: int, written: int) -> None:
        before = self._open[chunk]
        self._reserved += reserved - before[0]
        self._promised += max(0, reserved - written) - max(0, before[0] - before[1])
        before[:] = reserved, written

    def shortage(self, chunk: int, size: int, disk_free: int) -> int:
        """Bytes that must be freed before `chunk` may grow to `size`; 0: none.

        `disk_free` is what the disk has free now; reservations that are not yet written are
        already promised to others.
        """
        reserved = self._open[chunk][0]
        growth = max(0, blocks(size) - reserved)
        if growth == 0:
            return 0
        short = growth + self._promised + self.reserve - disk_free
        if self.maxspace is not None:
            short = max(short, self.total + growth - self.maxspace)
        return max(0, short)

    def grow(self, chunk: int, size: int) -> None:
        """Reserve: from now on `chunk` may be `size` bytes long."""
        reserved, written = self._open[chunk]
        self._set(chunk, max(reserved, blocks(size)), written)

    def written(self, chunk: int, size: int) -> None:
        """`chunk` is `size` bytes long now."""
        self._set(chunk, self._open[chunk][0], blocks(size))

    def close(self, chunk: int, size: int) -> None:
        """`chunk` is closed with `size` bytes; its reservation becomes what it is."""
        self.drop(chunk)
        self.closed += blocks(size)

    def drop(self, chunk: int) -> None:
        """`chunk` came to nothing; its file is gone."""
        if chunk in self._open:
            self._set(chunk, 0, 0)
            del self._open[chunk]

    def deleted(self, size: int) -> None:
        """A closed chunk of `size` bytes is gone."""
        self.closed -= blocks(size)

    def chunk_limit(self) -> int | None:
        """How large one chunk may become, in bytes: a fair share of `maxspace`; None: no limit.

        All the open chunks together keep to a quarter of `maxspace`, one to an eighth.
        """
        if self.maxspace is None:
            return None
        share = self.maxspace // (CHUNK_SHARE * max(1, -(-len(self._open) // 2)))
        return max(SMALLEST_CHUNK, share)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A closed chunk that rotation may take. `id` is its start in µs."""

    id: int
    bytes: int


def choose(short: int, oldest_first: Iterable[Candidate]) -> list[Candidate] | None:
    """The oldest chunks that free `short` bytes when they go; None when all together don't."""
    chosen: list[Candidate] = []
    for candidate in oldest_first:
        if short <= 0:
            break
        chosen.append(candidate)
        short -= blocks(candidate.bytes)
    return chosen if short <= 0 else None
