"""What is kept, as the resources look at it: cameras, chunks closed and open, windows of time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from ucam.base.times import parse_utc
from ucam.media import MediaError
from ucam.storage.database import Database
from ucam.storage.index import Index
from ucam.storage.layout import Place, chunk_path
from ucam.storage.playback.answers import Problem, not_found
from ucam.storage.playback.tables import Table, TableCache, read_table
from ucam.storage.recorder import Recorder
from ucam.storage.records import Chunk
from ucam.storage.writer import LiveChunk, Piece

DAY_US = 86_400_000_000
# A camera that has just connected: its first keyframe and what follows it are on their way.
FIRST_S = 10.0
LOOK_S = 0.1
Query = dict[str, str]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk with its fragments; of the open one what was durable when it was looked at."""

    id: int
    path: Path
    duration_us: int
    init_length: int
    pieces: Sequence[Piece]
    is_open: bool

    @property
    def end_us(self) -> int:
        """Where it ends, µs since 1970."""
        return self.id + self.duration_us

    def as_closed(self) -> Self:
        """The same as if nothing would be added to it."""
        return replace(self, is_open=False, path=self.current_path()) if self.is_open else self

    def current_path(self) -> Path:
        """Where its file is now: an open chunk gets its last name when it is closed."""
        return current_path(self.path) if self.is_open else self.path


def current_path(part: Path) -> Path:
    """Where the file of a chunk is that was open when it was looked at."""
    if part.exists():
        return part
    return next(part.parent.glob(f"{part.stem}_*.mp4"), part)


class Library:
    """The index, the open chunks and the files of one storage.

    `on_device`: what a camera says it still holds, as (from, to) in µs. `now_us`: the clock.
    """

    def __init__(
        self,
        root: Path,
        index: Index,
        recorder: Recorder,
        *,
        on_device: Callable[[Place], tuple[int, int] | None],
        now_us: Callable[[], int],
    ) -> None:
        self.root = root
        self.index = index
        self.recorder = recorder
        self.on_device = on_device
        self.now_us = now_us
        self._tables = TableCache()

    async def place(self, jid: str, locations: frozenset[str]) -> Place:
        """Whose recordings these are; raises `Problem`."""
        known = await self.index.run(Database.places)
        live = [chunk.place for chunk in self.recorder.live.values()]
        for place in [*known, *live]:
            if place.jid == jid and place.location in locations:
                return place
        # A camera that has just connected for the first time has no chunk yet.
        with suppress(ValueError):  # no JID, so nobody's
            for location in locations:
                if self.recorder.recording(place := Place(location, jid)):
                    return place
        raise not_found()

    def live_of(self, place: Place) -> list[LiveChunk]:
        """The chunks of a camera that are being written and hold something."""
        return [
            chunk
            for chunk in list(self.recorder.live.values())
            if chunk.place == place and chunk.pieces
        ]

    async def once_recorded(
        self, place: Place, look: Callable[[], Awaitable[Found | None]]
    ) -> Found | None:
        """What `look` finds; while the camera sends, that is waited for."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + FIRST_S
        while not (found := await look()) and self.recorder.recording(place):
            if loop.time() > until_s:
                break
            await asyncio.sleep(LOOK_S)
        return found

    def window(self, query: Query, span_us: int = DAY_US) -> tuple[int, int]:
        """`from` and `to` in µs; absent: now, and `span_us` before it. Raises `Problem`."""
        try:
            to_us = parse_utc(query["to"]) if "to" in query else self.now_us()
            from_us = parse_utc(query["from"]) if "from" in query else to_us - span_us
        except (ValueError, OverflowError) as error:
            raise Problem(400, "bad-time", str(error)) from None
        if not 0 <= from_us < to_us:
            raise Problem(400, "bad-time", "from must be before to, and after 1970")
        return from_us, to_us

    async def tables(self, chunks: Sequence[Chunk]) -> list[tuple[Chunk, Table]]:
        """Closed chunks with their tables; those that were rotated away meanwhile are left out."""
        found = {chunk.id: self._tables.get(chunk.id) for chunk in chunks}
        missing = [chunk for chunk in chunks if found[chunk.id] is None]
        if missing:
            # Before new ones come, those that rotation made worthless go.
            for oldest in await self.index.run(Database.oldest, 1):
                self._tables.forget_before(oldest.id)
            for chunk, read in await asyncio.to_thread(self._read, missing):
                self._tables.put(chunk.id, read)
                found[chunk.id] = read
        return [(chunk, table) for chunk in chunks if (table := found[chunk.id]) is not None]

    def _read(self, chunks: list[Chunk]) -> list[tuple[Chunk, Table]]:
        found = []
        for chunk in chunks:
            try:
                found.append((chunk, read_table(self.path(chunk), chunk.id)))
            except (OSError, MediaError):
                continue  # rotated away meanwhile, or damaged: fsck tells
        return found

    def path(self, chunk: Chunk) -> Path:
        """The file of a closed chunk."""
        return self.root / chunk_path(chunk.place, chunk.id, chunk.duration_us)

    async def stored(self, place: Place, from_us: int, to_us: int, most: int) -> list[Stored]:
        """The first `most` closed chunks that touch the window, and the open one; in order."""
        # The open ones first: one that is closed in between is then seen twice, not missed.
        live = [
            Stored(chunk.id, chunk.path, chunk.duration_us, chunk.init_length, pieces, True)
            for chunk in self.live_of(place)
            if chunk.id < to_us and chunk.end_us > from_us and (pieces := tuple(chunk.pieces))
        ]
        closed = await self.index.run(Database.chunks, place, from_us, to_us, most)
        found = {
            chunk.id: Stored(
                chunk.id,
                self.path(chunk),
                chunk.duration_us,
                table.init_length,
                table.pieces,
                False,
            )
            for chunk, table in await self.tables(closed)
        }
        if len(closed) < most:
            for chunk in live:
                found.setdefault(chunk.id, chunk)
        return [found[number] for number in sorted(found)]
