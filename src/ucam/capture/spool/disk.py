"""The part of the spool that is on disk: segments, oldest first, at most `max_bytes` of them.

The event loop's side: it decides, threads read and write. What is lost for want of space goes by
whole segments, which begin at keyframes, and is told to `lost`. A disk that fails is a `fault` in
one sentence, never an exception; it is tried again after some seconds.
"""

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ucam.capture.spool import files
from ucam.capture.spool.files import Notes, Segment, SegmentWriter
from ucam.capture.spool.record import RECORD_BYTES
from ucam.capture.spool.units import Gaps, Spooled

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
# One segment is what goes at once when the disk is full: a minute of 2 Mbit/s.
LARGEST_SEGMENT_BYTES = 16 << 20
SMALLEST_SEGMENT_BYTES = 64 << 10
SEGMENTS = 256
# However small they are: a camera whose runs are short makes many.
MAX_SEGMENTS = 4096
BATCH_BYTES = 2 << 20
RETRY_S = 5.0
HANGS_S = 5.0
NOTES_BYTES = 64 << 10


class DiskSpool:
    """Segments in `folder`. One task writes, another may read; both only by the methods here."""

    def __init__(
        self, folder: Path, max_bytes: int, gaps: Gaps, lost: Callable[[Segment], None]
    ) -> None:
        self.folder = folder
        self.segments: deque[Segment] = deque()
        self.boots: dict[str, int] = {}
        self.notes_changed = False
        self.late = False  # sending has begun without what the disk holds
        self._max_bytes = max(0, max_bytes - NOTES_BYTES)
        self._target = min(
            LARGEST_SEGMENT_BYTES, max(SMALLEST_SEGMENT_BYTES, max_bytes // SEGMENTS)
        )
        self._gaps = gaps
        self._lost = lost
        self._lock: int | None = None
        self._number = 0
        self._writer: SegmentWriter | None = None
        self._rubbish: list[Path] = []
        self._set_aside = 0  # bytes of segments that were found too late to be sent in order
        self._job: asyncio.Future[object] | None = None
        self._job_since_s = 0.0
        self._fault: str | None = None
        self._retry_s = float("-inf")

    @property
    def fault(self) -> str | None:
        """Why nothing can be written, as a part of a sentence."""
        if self._fault is None and self._job is not None and not self._job.done():
            hanging_s = asyncio.get_running_loop().time() - self._job_since_s
            if hanging_s > HANGS_S:
                return f"{self.folder}: the disk has not answered for {hanging_s:.0f} s"
        return self._fault

    @property
    def usable(self) -> bool:
        """Whether a write is worth a try now."""
        now_s = asyncio.get_running_loop().time()
        return self._fault is None or now_s >= self._retry_s

    @property
    def bytes(self) -> int:
        """What the segments take."""
        return self._set_aside + sum(segment.space for segment in self.segments)

    async def open(self) -> None:
        """Take the folder, and what an earlier process left in it."""
        self.late = self.late or self._fault is not None
        try:
            self._lock = await self._do(files.lock, self.folder)
            found, notes, self._number = await self._do(files.recover, self.folder)
        except OSError as error:
            self._failed(error)
            self._unlock()
            return
        if self.late:
            # What is being captured is on its way already: the older comes with the next start.
            self._set_aside = sum(segment.space for segment in found)
        else:
            self.segments.extend(found)
            self.boots = dict(notes.boots)
            for gap in notes.gaps:
                self._gaps.add(gap)
            self._gaps.changed = False
        self._well()
        if found:
            size = sum(segment.size for segment in found) / 1e6
            _log.info("spool: %d files with %.1f MB wait for storage", len(found), size)

    async def write(self, items: Sequence[Spooled], position: int, *, urgent: bool = False) -> int:
        """Make the first of these durable; how many. 0: nothing can be written now.

        `position`: of the first one. Where there is no open segment of its run that ends there, the
        first must begin a group of pictures. `urgent`: memory has no room for them for long.
        """
        if self._lock is None:
            await self.open()
            if self._lock is None:
                return 0
        try:
            return await self._write(items, position, urgent)
        except OSError as error:
            self._failed(error)
            await self.close_segment()
            return 0

    def continues(self, item: Spooled, position: int) -> bool:
        """Whether a segment is open that the access unit at this position goes on with."""
        segment = self._writer.segment if self._writer is not None else None
        return (
            segment is not None
            and segment.run is item.run
            and segment.position is not None
            and segment.position + segment.count == position
        )

    async def _write(self, items: Sequence[Spooled], position: int, urgent: bool) -> int:
        first = items[0]
        if not self.continues(first, position) or (first.begins_group and self._is_full()):
            await self.close_segment()
        batch, size = self._cut(items)
        await self._make_room(size, urgent)
        if self._writer is None:
            path = self.folder / f"{self._number:012}.seg"
            self._number += 1
            self._writer = await self._do(SegmentWriter, path, first, position)
            self.segments.append(self._writer.segment)
        segment = self._writer.segment
        segment.size = await self._do(self._writer.append, batch)
        segment.count += len(batch)
        for item in batch:
            if not item.unit.audio:
                segment.last, segment.last_us = item.unit.number, item.unit.utc_us
        self._well()
        return len(batch)

    def _is_full(self) -> bool:
        return self._writer is not None and self._writer.segment.size >= self._target

    def _cut(self, items: Sequence[Spooled]) -> tuple[list[Spooled], int]:
        """What goes into the open (or the next) segment with one write, and its bytes."""
        size = self._writer.segment.size if self._writer is not None else files.BLOCK
        batch: list[Spooled] = []
        bytes_ = 0
        for item in items:
            cost = len(item.unit.data) + RECORD_BYTES
            ends = item.begins_group and size + bytes_ >= self._target
            if batch and (item.run is not batch[0].run or ends or bytes_ + cost > BATCH_BYTES):
                break
            batch.append(item)
            bytes_ += cost
        return batch, bytes_ + 2 * files.BLOCK

    async def _make_room(self, size: int, urgent: bool) -> None:
        """Drop the oldest segments if need be; raises `OSError` when there is no room all the same.

        Over `max_bytes` the oldest goes. When others have filled the disk, what stands there stays,
        until it is `urgent`: then the oldest goes there, too, for as much as is new.
        """
        room = max(0, await self._do(files.free_bytes, self.folder))
        while (
            self.bytes + size > self._max_bytes or len(self.segments) >= MAX_SEGMENTS or size > room
        ):
            oldest = self.segments[0] if self.segments else None
            is_open = self._writer is not None and self._writer.segment is oldest
            if oldest is None or is_open or (size > room and not urgent):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            room += oldest.space
            self._forget_oldest()
            self._lost(oldest)
            await self.tidy()

    async def close_segment(self) -> None:
        """Nothing more goes into the open segment, if one is open."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                await self._do(writer.close)
            except OSError as error:
                self._failed(error)

    def confirm(self, run: str, number: int) -> bool:
        """Storage has everything up to `number` of `run`; whether that run is here."""
        if not any(segment.run.id == run for segment in self.segments):
            return False
        while self.segments[0].run.id != run:
            self._forget_oldest()
        while (
            self.segments
            and self.segments[0].run.id == run
            and self._is_behind(self.segments[0], number)
        ):
            self._forget_oldest()
        return True

    def confirm_all(self) -> None:
        """Storage has what is later than all this."""
        while self.segments and not (
            self._writer is not None and self._writer.segment is self.segments[0]
        ):
            self._forget_oldest()

    def _is_behind(self, segment: Segment, number: int) -> bool:
        """Whether storage, which has up to `number` of its run, has all of a segment."""
        if self._writer is not None and self._writer.segment is segment:
            return False
        coming = self.segments[1] if len(self.segments) > 1 else None
        if coming is not None and coming.run.id != segment.run.id:
            coming = None
        if segment.last is None:
            return coming is not None and coming.first <= number + 1
        # The sound behind its last picture is stored for certain when the next one is.
        if segment.run.audio is not None and coming is not None:
            return segment.last < number
        return segment.last <= number

    def _forget_oldest(self) -> None:
        self._rubbish.append(self.segments.popleft().path)

    @property
    def is_tidy(self) -> bool:
        """Whether there is nothing for `tidy` to do."""
        return not (self._rubbish or self._gaps.changed or self.notes_changed)

    async def tidy(self) -> None:
        """Delete what is confirmed, and keep the notes."""
        rubbish, self._rubbish = self._rubbish, []
        try:
            if rubbish:
                await self._do(_delete, rubbish)
                if self.boots and not any(segment.run.boot for segment in self.segments):
                    self.boots.clear()
                    self.notes_changed = True
            if (self._gaps.changed or self.notes_changed) and self._lock is not None:
                self._gaps.changed = self.notes_changed = False
                notes = Notes(gaps=list(self._gaps), boots=dict(self.boots))
                await self._do(files.write_notes, self.folder, notes)
        except OSError as error:
            self._failed(error)

    async def close(self) -> None:
        """Give the folder back."""
        await self.close_segment()
        await self.tidy()
        self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    async def _do(self, function: Callable[..., _T], *arguments: object) -> _T:
        """In a thread, one after the other, also when the task that waits is cancelled."""
        if self._job is not None and not self._job.done():
            await asyncio.wait({self._job})
        self._job_since_s = asyncio.get_running_loop().time()
        job = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
        self._job = job  # type: ignore[assignment]
        return await asyncio.shield(job)

    def _failed(self, error: OSError) -> None:
        text = f"{self.folder}: {error.strerror or error}"
        if self._fault != text:
            _log.error("the spool on disk can't be used: %s", text)
        self._fault = text
        self._retry_s = asyncio.get_running_loop().time() + RETRY_S

    def _well(self) -> None:
        if self._fault is not None:
            _log.warning("the spool on disk is in use again")
        self._fault = None


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
