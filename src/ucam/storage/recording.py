"""One publisher's access units on their way to the disk: the event loop's side of it."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import Counter

from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, Track
from ucam.storage.cutter import Action, AddFragment, CloseChunk, Cutter
from ucam.storage.insistent import InsistentWriter
from ucam.storage.layout import Place
from ucam.storage.records import Durable
from ucam.storage.stream import Arrived
from ucam.storage.writer import ChunkWriter

if TYPE_CHECKING:
    from ucam.storage.recorder import Recorder

_log = logging.getLogger(__name__)

# What one publisher may have waiting for its disk. Above it its socket isn't read any more: its
# own spool keeps the rest.
HIGH_BYTES = 16 << 20
LOW_BYTES = 4 << 20
STALLED_S = 1.2
MOST_EARLY = 100  # frames of audio, some two seconds
# A disk that takes longer for one step hangs, and that is told.
HANGS_S = 4.0
STOPPED = "storage was stopped"
FRAMES = Counter("ucam_storage_frames", "access units that came, video or audio alone")
DUPLICATES = Counter("ucam_storage_duplicate_frames", "of these, those that were stored already")


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
        heard_90k: int | None = None,
    ) -> None:
        self.place = place
        self._recorder = recorder
        self._run = run
        # Numbers up to this one are stored: a publisher that sends them again sends them in vain.
        self._stored = stored.number if stored is not None and stored.run == run else None
        self._missing = missing
        self._heard_90k = heard_90k  # the same of its sound, see `Heard`
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
        self.audio: AudioTrack | None = None  # beside the video, as far as it is known
        # Audio that came before the first picture of its chunk; the oldest go.
        self._early: deque[AccessUnit] = deque(maxlen=MOST_EARLY)
        self._audio_changed = False
        self._last_number: int | None = None
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
        elif self._audio_changed and unit.keyframe:
            actions += self._begin(track)
        actions += self._cut(unit)
        self._last_number = unit.number
        self._post(actions)

    def push_audio(self, arrived: Arrived) -> None:
        """The next frame of the audio beside the video."""
        if self._fault is not None or self._finished is not None:
            return
        if arrived.track is not self.audio and arrived.track != self.audio:
            # A chunk has one description of its sound: the next keyframe begins another chunk.
            assert isinstance(arrived.track, AudioTrack)
            self.audio, self._audio_changed = arrived.track, self._track is not None
            self._early.clear()
        if self._track is None or self._audio_changed:
            self._early.append(arrived.unit)
        else:
            self._cutter.push_audio(arrived.unit)

    def _begin(self, track: Track) -> list[Action]:
        heard_90k = None
        if self._track is None:
            reason = self._missing or self._recorder.why_away(self.place)
            follows, heard_90k = self._stored, self._heard_90k
        elif track is self._track or track == self._track:
            reason, follows = "the camera changed its sound", self._last_number
        else:
            reason, follows = "the camera changed its picture", None
        self._track, self._audio_changed = track, False
        actions = self._cutter.begin(
            track,
            self._run,
            reason,
            follows=follows,
            audio=self.audio,
            missing=self._missing,
            heard_90k=heard_90k,
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
        """In a thread. After an internal error only closing is left to do."""
        if self._fault is not None and not isinstance(action, CloseChunk):
            return
        self._busy_since_s = self._loop.time()
        try:
            self._writer.perform(action)
        finally:
            self._busy_since_s = None

    def _disk_told(self, fault: str | None) -> None:
        """In a thread: the disk refused, or (None) takes again what it is given."""
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
