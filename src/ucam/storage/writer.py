"""One chunk's file, from its first byte to its row in the index, in the order that survives.

Runs in its device's lane: every call blocks until the disk has done its part. What is
told as durable was synced before, and so was the name under which it will be found.
"""

import hashlib
import logging
import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Counter, Histogram

from ucam.media.clock import microseconds
from ucam.media.fmp4 import IndexEntry, RunMark, fragment, free_for_sidx, init_segment, sidx
from ucam.media.track import AudioTrack, Track, codec_strings
from ucam.storage.chain import RECORDED, Parts
from ucam.storage.cutter import AddFragment, OpenChunk
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.index import Index
from ucam.storage.layout import Place, chunk_path, part_path
from ucam.storage.records import Chunk, Durable, Gap
from ucam.storage.rotation import NoSpace
from ucam.storage.space import Space

_log = logging.getLogger(__name__)

# A difference this small between a chunk's end and the next one's start is no gap.
GAP_TOLERANCE_US = 500_000
ACTIVITY_INTERVAL_US = 10_000_000
# What a chunk's link, and what tells of its end some day, may take beside its file.
SEAL_ROOM = 3 * 4096
MOST_BUFFERS = 1000  # one writev takes 1,024


FRAGMENTS = Counter("ucam_storage_fragments", "fragments that were written and synced")
WRITTEN = Counter("ucam_storage_written_bytes", "bytes of these fragments")
SYNC_S = Histogram(
    "ucam_storage_sync_seconds",
    "how long one fdatasync took",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)


class Piece(NamedTuple):
    """One fragment in a chunk's table. Times in µs, `start_us` counted from the chunk's start."""

    offset: int
    size: int
    start_us: int
    duration_us: int
    keyframe: bool


@dataclass(slots=True)
class Activity:
    """Coded bytes per ten seconds of a chunk."""

    _bytes: list[int] = field(default_factory=list)

    def add(self, start_us: int, size: int) -> None:
        """A fragment that starts `start_us` after the chunk's start."""
        slot = max(0, start_us) // ACTIVITY_INTERVAL_US
        # A chunk of a device whose clock ran wild is not allowed to fill memory.
        if slot > 100_000:
            return
        self._bytes += [0] * (slot + 1 - len(self._bytes))
        self._bytes[slot] += size

    def pack(self) -> bytes:
        """KiB per interval, u16 big-endian each."""
        values = [min(0xFFFF, size // 1024) for size in self._bytes]
        return struct.pack(f">{len(values)}H", *values)


@dataclass(slots=True)
class LiveChunk:
    """The chunk being written, as playback sees it: only what is durable.

    Written in its lane, read by the event loop: `pieces` only grows, `durable_bytes` is set last.
    """

    id: int
    place: Place
    path: Path
    track: Track
    run: str
    init_length: int
    durable_bytes: int = 0
    duration_us: int = 0
    pieces: list[Piece] = field(default_factory=list)
    activity: Activity = field(default_factory=Activity)
    audio: AudioTrack | None = None  # beside the video

    @property
    def codecs(self) -> str:
        """Of all its tracks, as in RFC 6381."""
        return codec_strings(self.track, self.audio)

    @property
    def end_us(self) -> int:
        """Where what is durable ends."""
        return self.id + self.duration_us


class WriteFault(Exception):  # noqa: N818 - what the disk did
    """The disk refused; what was durable before still is."""


class ChunkWriter:
    """Writes the chunks of one device, one after the other.

    `durable` is called after each sync; `opened` and `closed` let playback know; `unfinished` gets
    a chunk that the disk didn't let close, its reservation still kept.
    """

    def __init__(
        self,
        root: Path,
        place: Place,
        index: Index,
        space: Space,
        disk: Disk,
        *,
        fragments: int,
        durable: Callable[[Durable], None],
        heard: Callable[[str, int], None],
        opened: Callable[[LiveChunk], None],
        closed: Callable[[LiveChunk], None],
        unfinished: Callable[[LiveChunk], None],
    ) -> None:
        self._root = root
        self._place = place
        self._index = index
        self._space = space
        self._disk = disk
        self._reserved_index = free_for_sidx(fragments)
        self._durable = durable
        self._heard = heard
        self._opened = opened
        self._closed = closed
        self._unfinished = unfinished
        self._live: LiveChunk | None = None
        self._descriptor = -1
        self._size = 0
        self._sequence = 0
        self._init = b""
        self._hash = hashlib.sha256()  # of everything behind the sidx, as it was written
        self._first_number = 0
        self._entries: list[IndexEntry] = []
        self._earliest_pts = 0
        self._first_dts = 0
        self._last_dts = 0
        self._last: Durable | None = None
        # Where the last chunk ended, when the index doesn't know it yet.
        self._ended_us: int | None = None

    def open(self, wanted: OpenChunk, gap_reason: str) -> None:
        """Begin a chunk. `gap_reason` is told if it doesn't follow the device's last.

        Raises `NoSpace` or `WriteFault`; then no file is left.
        """
        assert self._live is None, "one chunk at a time"
        mark = RunMark(wanted.run, wanted.first_number)
        head = init_segment(wanted.track, mark, audio=wanted.audio)
        self._size = 0
        chunk = wanted.start_us
        while self._index.call(Database.has, chunk) or not self._space.claim(chunk):
            chunk += 1
        relative = part_path(self._place, chunk)
        path = self._root / relative
        try:
            self._tell_gap(chunk, wanted.broken or gap_reason)
            self._index.call(Database.opened, self._place, chunk)
            self._space.grow(chunk, len(head) + len(self._reserved_index) + SEAL_ROOM)
            self._space.folders_made(self._disk.make_folders(self._root, relative.parent))
            self._descriptor = self._disk.create(path)
            try:
                self._write([head, self._reserved_index])
                self._disk.sync(self._descriptor)
                self._disk.sync_folder(path.parent)
            except OSError:
                self._disk.close(self._descriptor)
                self._disk.unlink(path)
                raise
        except NoSpace:
            self._space.dropped(chunk)
            raise
        except (OSError, sqlite3.Error) as error:
            self._space.dropped(chunk)
            raise WriteFault(f"{path}: {error}") from error
        self._sequence = 0
        self._init = head
        self._hash = hashlib.sha256()
        self._first_number = wanted.first_number
        self._entries = []
        self._last = None
        self._live = LiveChunk(
            chunk,
            self._place,
            path,
            wanted.track,
            wanted.run,
            len(head),
            durable_bytes=self._size,
            audio=wanted.audio,
        )
        self._opened(self._live)

    def _tell_gap(self, start_us: int, reason: str) -> None:
        end_us = self._index.call(Database.end_us, self._place)
        if end_us is None:
            return
        if self._ended_us is not None:
            end_us = self._ended_us
        if abs(start_us - end_us) <= GAP_TOLERANCE_US:
            return
        if start_us < end_us:
            reason = "the camera's clock went back"
        self._index.call(Database.add_gap, self._place, Gap(end_us, start_us, reason))

    def append(self, part: AddFragment) -> None:
        """Write a fragment and make it durable. Raises `NoSpace` or `WriteFault`.

        Then the file is as it was before, and only `close` may follow: what a disk has refused
        once is not tried again in the same place.
        """
        live = self._live
        assert live is not None, "open() comes first"
        self._sequence += 1
        head = fragment(self._sequence, part.samples, part.base_dts_90k, part.start_us, part.audio)
        offset, size = self._size, len(head) + part.size
        # Before it is written: so it is in the processor's caches when it is copied to the kernel.
        digest = self._hash.copy()
        for data in (head, *part.data):
            digest.update(data)
        try:
            self._space.grow(live.id, offset + size + SEAL_ROOM)
            self._write([head, *part.data])
            with SYNC_S.time():
                self._disk.sync(self._descriptor)
        except (OSError, sqlite3.Error) as error:
            self._take_back(offset)
            raise WriteFault(f"{live.path}: {error}") from error
        self._space.written(live.id, self._size)
        FRAGMENTS.inc()
        WRITTEN.inc(size)
        self._hash = digest
        self._account(live, part, offset, size)

    def _take_back(self, size: int) -> None:
        """Cut off what was half-written."""
        self._size = size
        try:
            self._disk.truncate(self._descriptor, size)
        except OSError as error:
            live, self._live = self._live, None
            assert live is not None
            _log.error("%s can't be cut now: %s", live.path, error)
            self._disk.close(self._descriptor)
            self._ended_us = live.end_us
            self._unfinished(live)
            self._closed(live)

    def _account(self, live: LiveChunk, part: AddFragment, offset: int, size: int) -> None:
        keyframe = part.samples[0].keyframe
        earliest = min(_presentation_times(part))
        if self._entries:
            # Until the next one begins, also when the camera paused: so times add up.
            spaced = part.base_dts_90k - self._last_dts
            self._entries[-1] = self._entries[-1]._replace(duration_90k=spaced)
        else:
            self._earliest_pts, self._first_dts = earliest, part.base_dts_90k
        self._last_dts = part.base_dts_90k
        self._entries.append(IndexEntry(size, part.duration_90k, keyframe))
        start_us = max(0, microseconds(earliest) - live.id)
        live.pieces.append(Piece(offset, size, start_us, microseconds(part.duration_90k), keyframe))
        live.activity.add(start_us, size)
        live.duration_us = microseconds(part.base_dts_90k + part.duration_90k - self._first_dts)
        live.durable_bytes = self._size
        self._last = Durable(live.run, part.last_number, part.last_utc_us)
        if part.audio is not None:
            self._heard(live.run, part.audio.last_90k)
        self._durable(self._last)

    def _write(self, buffers: list[bytes]) -> None:
        """One writev, unless the disk takes less or there are more buffers than it takes."""
        while buffers:
            batch = buffers[:MOST_BUFFERS]
            done = self._disk.write(self._descriptor, batch)
            self._size += done
            buffers = _rest(buffers, done)

    def close(self) -> None:
        """Index over the free box, last name, directory, link, row: in this order, always.

        A power cut between any two leaves something that start-up recovery brings to the end:
        a `.part` (with or without its index), or a file without a row. Raises `WriteFault`.
        """
        live, self._live = self._live, None
        if live is None:
            return
        try:
            if self._last is None:
                self._discard(live)
            else:
                self._finish(live, self._last)
        except (OSError, sqlite3.Error) as error:
            # Whatever step it was: its room stays reserved, and somebody goes on from there.
            self._ended_us = live.end_us
            self._unfinished(live)
            raise WriteFault(f"{live.path}: {error}") from error
        finally:
            self._closed(live)

    def _finish(self, live: LiveChunk, last: Durable) -> None:
        try:
            box = sidx(self._entries, self._earliest_pts, len(self._reserved_index))
            self._disk.overwrite(self._descriptor, box, live.init_length)
            self._disk.sync(self._descriptor)
        finally:
            self._disk.close(self._descriptor)
        final = self._root / chunk_path(self._place, live.id, live.duration_us)
        self._disk.rename(live.path, final)
        self._disk.sync_folder(final.parent)
        chunk = Chunk(
            live.id,
            self._place,
            live.duration_us,
            self._size,
            live.codecs,
            live.track.width,
            live.track.height,
            live.run,
            self._first_number,
            last.number,
            live.activity.pack(),
        )
        head = self._init + box
        parts = Parts(len(head), hashlib.sha256(head).hexdigest(), self._hash.hexdigest())
        grown: int = self._index.call(
            lambda database: self._space.sealer.add(
                database, chunk, last, None, lambda: parts, RECORDED
            )
        )
        self._ended_us = None
        self._space.closed(live.id, self._size)
        self._space.beside(grown)

    def _discard(self, live: LiveChunk) -> None:
        """A chunk into which nothing came is no chunk."""
        self._disk.close(self._descriptor)
        self._disk.unlink(live.path)
        self._index.call(Database.not_opened, live.id)
        self._space.dropped(live.id)


def _presentation_times(part: AddFragment) -> list[int]:
    times, dts = [], part.base_dts_90k
    for sample in part.samples:
        times.append(dts + sample.composition_90k)
        dts += sample.duration_90k
    return times


def _rest(buffers: list[bytes], done: int) -> list[bytes]:
    """What is left of `buffers` after `done` bytes."""
    for position, buffer in enumerate(buffers):
        if done < len(buffer):
            return [buffer[done:], *buffers[position + 1 :]]
        done -= len(buffer)
    return []
