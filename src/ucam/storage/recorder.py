"""Who is being recorded: the event loop's side of cutting and writing.

One `Recording` a publisher, with a lane of its own in which the disk's part is done in order.
A device has one at a time: a newer one begins when the old one's chunk is closed.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prometheus_client import Counter

from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, Track
from ucam.storage.cutter import Action, AddFragment, CloseChunk, Cutter
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.index import Index
from ucam.storage.insistent import InsistentWriter
from ucam.storage.lanes import Lanes
from ucam.storage.layout import Place
from ucam.storage.mending import Mender
from ucam.storage.records import Durable
from ucam.storage.space import Space
from ucam.storage.stream import Arrived
from ucam.storage.writer import ChunkWriter, LiveChunk

_log = logging.getLogger(__name__)

# What one publisher may have waiting for its disk. Above it its socket isn't read any more: its
# own spool keeps the rest.
HIGH_BYTES = 16 << 20
LOW_BYTES = 4 << 20
STALLED_S = 1.2
TROUBLE_S = 30.0
MOST_EARLY = 100  # frames of audio, some two seconds
# A disk that takes longer for one step hangs, and that is told.
HANGS_S = 4.0
MEND_EVERY_S = 5.0
LAST_TRIES = 3
FRAMES = Counter("ucam_storage_frames", "access units that came, video or audio alone")
DUPLICATES = Counter("ucam_storage_duplicate_frames", "of these, those that were stored already")
FAULTS = Counter("ucam_storage_faults", "times that a disk or storage itself refused to record")
STOPPED = "storage was stopped"


class Recording:
    """One publisher's access units on their way to the disk. Made by `Recorder.begin`."""

    def __init__(
        self,
        recorder: "Recorder",
        place: Place,
        run: str,
        stored: Durable | None,
        writer: ChunkWriter,
        cutter: Cutter,
        missing: str | None = None,
    ) -> None:
        self.place = place
        self._recorder = recorder
        self._run = run
        # Numbers up to this one are stored: a publisher that sends them again sends them in vain.
        self._stored = stored.number if stored is not None and stored.run == run else None
        self._missing = missing
        self._ending = threading.Event()
        self._writer = InsistentWriter(
            writer, gap_reason=STOPPED, told=self._disk_told, pause=self._ending.wait
        )
        self._cutter = cutter
        self._track: Track | None = None
        self._lane = recorder.lanes.lane()
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._last_push_s = self._loop.time()
        self._busy_since_s: float | None = None
        self._fault: str | None = None
        self._finished: asyncio.Future[None] | None = None
        self.audio: AudioTrack | None = None  # beside the video; set before the first push
        # Audio that came before the first picture; the oldest go.
        self._early: deque[AccessUnit] = deque(maxlen=MOST_EARLY)
        self.duplicates = 0
        self.received = 0
        self._counted = (0, 0)  # of these two, what the metrics know
        # Set by the connection: read on or not, and give up.
        self.on_pressure: Callable[[bool], None] = lambda _full: None
        self.on_fault: Callable[[str], None] = lambda _text: None

    def push(self, arrived: Arrived) -> None:
        """The next access unit as it came."""
        unit, track, stepped = arrived
        if self._fault is not None or self._finished is not None:
            return
        self._last_push_s = self._loop.time()
        self.received += 1
        if self._stored is not None and unit.number <= self._stored:
            self.duplicates += 1
            return
        actions: list[Action] = []
        if track is not self._track and track != self._track:
            actions += self._begin(track)
        elif stepped:
            actions += self._cutter.end("the camera's clock was set")
        actions += self._cut(unit)
        self._post(actions)

    def push_audio(self, arrived: Arrived) -> None:
        """The next frame of the audio beside the video, which was told by `audio`."""
        if self._fault is not None or self._finished is not None:
            return
        if self._track is None:
            self._early.append(arrived.unit)
        else:
            self._cutter.push_audio(arrived.unit)

    def _begin(self, track: Track) -> list[Action]:
        if self._track is None:
            reason = self._missing or self._recorder.why_away(self.place)
            follows = self._stored
        else:
            reason, follows = "the camera changed its picture", None
        self._track = track
        actions = self._cutter.begin(
            track, self._run, reason, follows=follows, audio=self.audio, missing=self._missing
        )
        while self._early:
            self._cutter.push_audio(self._early.popleft())
        return actions

    def _cut(self, unit: AccessUnit) -> list[Action]:
        return self._cutter.push(unit, self._recorder.space.chunk_limit())

    def tick(self) -> None:
        """Call it twice a second: what waits for a successor that doesn't come is written."""
        self._count()
        if self._finished is None and self._loop.time() - self._last_push_s > STALLED_S:
            self._post(self._cutter.flush())
        busy_since_s = self._busy_since_s
        if busy_since_s is not None and self._writer.fault is None:
            hanging_s = self._loop.time() - busy_since_s
            if hanging_s > HANGS_S:
                text = f"the disk has not answered for {hanging_s:.0f} s"
                self._recorder.troubled(f"{self.place.jid} can't be recorded: {text}")

    def _count(self) -> None:
        """For the metrics; not at each access unit, for a counter has a lock."""
        frames, duplicates = self._counted
        self._counted = (self.received, self.duplicates)
        FRAMES.inc(self.received - frames)
        DUPLICATES.inc(self.duplicates - duplicates)

    async def finish(self, reason: str) -> None:
        """Write what was received, close the chunk; returns when it is in the index.

        What a disk in trouble doesn't take at once is dropped: it was never told as durable.
        """
        if self._finished is None:
            self._finished = self._loop.create_future()
            if self._writer.fault is not None:
                reason = f"storage could not write: {self._writer.fault}"
            self._ending.set()
            self._count()
            self._recorder.leave(self, reason)
            self._post(self._cutter.end(reason))
            self._lane.post(_nothing, self._drained, at_once=True)
        await asyncio.shield(self._finished)
        await self._recorder.note_absence(self.place)

    def _drained(self, _error: Exception | None) -> None:
        assert self._finished is not None
        self._recorder.finished(self)
        if not self._finished.done():
            self._finished.set_result(None)

    def _post(self, actions: list[Action]) -> None:
        for action in actions:
            size = action.size if isinstance(action, AddFragment) else 0
            self._waiting += size
            # A publisher that is held back goes on as soon as it may.
            held = self._waiting > LOW_BYTES
            self._lane.post(partial(self._perform, action), partial(self._done, size), at_once=held)
        if self._waiting > HIGH_BYTES:
            self.on_pressure(True)

    def _perform(self, action: Action) -> None:
        """In the worker thread. After an internal error only closing is left to do."""
        if self._fault is not None and not isinstance(action, CloseChunk):
            return
        self._busy_since_s = self._loop.time()
        try:
            self._writer.perform(action)
        finally:
            self._busy_since_s = None

    def _disk_told(self, fault: str | None) -> None:
        """In the worker thread: the disk refused, or (None) takes again what it is given."""
        self._loop.call_soon_threadsafe(self._pass_on, fault)

    def _pass_on(self, fault: str | None) -> None:
        if fault is not None:
            self._recorder.troubled(f"{self.place.jid} can't be recorded: {fault}")
        else:
            _log.warning("%s is being recorded again", self.place.jid)

    def _done(self, size: int, error: Exception | None) -> None:
        was, self._waiting = self._waiting, self._waiting - size
        if was >= LOW_BYTES > self._waiting:
            self.on_pressure(False)
        if error is None or self._fault is not None:
            return
        _log.error("recording %s failed", self.place.jid, exc_info=error)
        self._fault = "an internal error of storage"
        self._recorder.troubled(f"{self.place.jid} can't be recorded: {self._fault}")
        self.on_fault(self._fault)


def _nothing() -> None:
    pass


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
            recording = Recording(
                self, place, run, stored, self._writer(place), self._cutter(), missing
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
