"""Who is being recorded: all devices of this storage.

A device has one recording at a time: a newer one begins when the old one's chunk is closed.
"""

import asyncio
import logging
import sqlite3
import time
from functools import partial
from pathlib import Path

from prometheus_client import Counter

from ucam.storage.cutter import Cutter
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.heard import Heard
from ucam.storage.index import Index
from ucam.storage.lanes import Lanes
from ucam.storage.layout import Place
from ucam.storage.mending import Mender
from ucam.storage.recording import STOPPED, Recording
from ucam.storage.records import Durable
from ucam.storage.space import Space
from ucam.storage.writer import ChunkWriter, LiveChunk

_log = logging.getLogger(__name__)

TROUBLE_S = 30.0
MEND_EVERY_S = 5.0
LAST_TRIES = 3
FAULTS = Counter("ucam_storage_faults", "times that a disk or storage itself refused to record")


class Recorder:
    """All recordings of this storage."""

    def __init__(
        self,
        root: Path,
        index: Index,
        space: Space,
        disk: Disk,
        *,
        chunk_us: int | None,
        chunk_bytes: int | None,
    ) -> None:
        self.space = space
        self.lanes = Lanes()
        self.live: dict[int, LiveChunk] = {}  # by id; what is being written
        self._root = root
        self._index = index
        self._disk = disk
        self._chunk_us = chunk_us
        self._chunk_bytes = chunk_bytes
        self._recordings: dict[Place, Recording] = {}
        # Their connection is gone, but what was received is still being written.
        self._finishing: dict[Place, Recording] = {}
        self._locks: dict[Place, asyncio.Lock] = {}
        self._durable: dict[Place, Durable | None] = {}
        self._heard = Heard(root, index)
        self._away: dict[Place, str] = {}
        self._trouble: tuple[float, str] | None = None
        self._clock = time.monotonic
        self._mender = Mender(root, index, space, disk)
        self._mended_s = 0.0

    async def durable(self, place: Place) -> Durable | None:
        """The last access unit of a device that survives a power cut."""
        if place not in self._durable:
            known = await self._index.run(Database.durable, place)
            self._durable.setdefault(place, known)
        return self._durable[place]

    def durable_now(self) -> dict[Place, Durable]:
        """The same of every device that was seen since the start."""
        return {place: found for place, found in self._durable.items() if found is not None}

    def why_away(self, place: Place) -> str:
        """Why a device is not, or was not, recorded."""
        return self._away.get(place, STOPPED)

    async def remember_absences(self) -> None:
        """Why devices weren't recorded before this start (call it once, before the first)."""
        self._away = {**await self._index.run(Database.away), **self._away}

    def recording(self, place: Place) -> bool:
        """Whether a device is being recorded now."""
        return place in self._recordings

    @property
    def count(self) -> int:
        """How many devices are being recorded."""
        return len(self._recordings)

    async def begin(self, place: Place, run: str, missing: str | None = None) -> Recording:
        """Record a device; what recorded it until now is finished first. `missing`: why it doesn't
        send what comes before, if it says so.
        """
        async with self._locks.setdefault(place, asyncio.Lock()):
            if (old := self._recordings.get(place)) is not None:
                old.on_fault("a newer connection of this camera has taken over")
                await old.finish("the camera connected anew")
            elif (old := self._finishing.get(place)) is not None:
                # Before that is done, nobody knows which access units are stored already.
                await old.finish(self.why_away(place))
            stored = await self.durable(place)
            resumes = stored is not None and stored.run == run
            heard_90k = await self._heard.until(place, run) if resumes else None
            recording = Recording(
                self, place, run, stored, self._writer(place), self._cutter(), missing, heard_90k
            )
            self._recordings[place] = recording
            # A start after a power cut must not tell the reason of an absence before that.
            await self._note_absence(place, None)
            return recording

    def _writer(self, place: Place) -> ChunkWriter:
        # One fragment a second is usual, half a second the least; more of them are joined.
        seconds = 600 if self._chunk_us is None else self._chunk_us // 1_000_000
        return ChunkWriter(
            self._root,
            place,
            self._index,
            self.space,
            self._disk,
            fragments=min(4096, max(64, seconds * 2 + 16)),
            durable=lambda last: self._durable.__setitem__(place, last),
            heard=partial(self._heard.note, place),
            opened=lambda chunk: self.live.__setitem__(chunk.id, chunk),
            closed=self._chunk_closed,
            unfinished=self._mender.add,
        )

    def _chunk_closed(self, chunk: LiveChunk) -> None:
        self.live.pop(chunk.id, None)

    def _cutter(self) -> Cutter:
        return Cutter(chunk_us=self._chunk_us, chunk_bytes=self._chunk_bytes)

    def leave(self, recording: Recording, reason: str) -> None:
        """A recording ends (it calls this itself)."""
        if self._recordings.get(recording.place) is recording:
            del self._recordings[recording.place]
            self._finishing[recording.place] = recording
            self._away[recording.place] = reason

    def finished(self, recording: Recording) -> None:
        """Everything of a recording is on the disk (it calls this itself)."""
        if self._finishing.get(recording.place) is recording:
            del self._finishing[recording.place]

    async def note_absence(self, place: Place) -> None:
        """Keep why a device isn't recorded any more, if it isn't, for after a restart."""
        if place not in self._recordings:
            await self._note_absence(place, self._away.get(place))

    async def _note_absence(self, place: Place, reason: str | None) -> None:
        try:
            await self._index.run(Database.set_away, place, reason)
        except sqlite3.Error as error:
            _log.warning("why %s is away can't be noted: %s", place.jid, error)

    def set_chunk_size(self, chunk_us: int | None, chunk_bytes: int | None) -> None:
        """Of chunks that begin with the next connection of a camera."""
        self._chunk_us, self._chunk_bytes = chunk_us, chunk_bytes

    def trouble(self) -> str | None:
        """What went wrong within the last half minute, in plain words."""
        if self._trouble is None or self._clock() - self._trouble[0] > TROUBLE_S:
            return None
        return self._trouble[1]

    def troubled(self, text: str) -> None:
        """Something went wrong that the operator must hear of."""
        FAULTS.inc()
        if self._trouble is None or self._trouble[1] != text:
            _log.error("%s", text)
        self._trouble = (self._clock(), text)

    @property
    def unfinished(self) -> int:
        """How many chunks the disk did not let close yet."""
        return self._mender.waiting

    async def check(self) -> None:
        """Return when the index answers."""
        await self._index.run(Database.footprint)

    def tick(self) -> None:
        """Call it twice a second."""
        for recording in list(self._recordings.values()):
            recording.tick()
        if self._clock() - self._mended_s > MEND_EVERY_S:
            self._mended_s = self._clock()
            self._mender.start()

    async def stop(self) -> None:
        """Finish everything."""
        await asyncio.gather(
            *(
                recording.finish(STOPPED)
                for recording in [*self._recordings.values(), *self._finishing.values()]
            )
        )
        self.lanes.close()
        for _ in range(LAST_TRIES):
            await asyncio.to_thread(self._mender.mend)
        if self.unfinished:
            _log.error("%d chunks are left for the next start to close", self.unfinished)
