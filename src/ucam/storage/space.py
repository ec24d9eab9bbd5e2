"""Room on the disk: reservations before bytes are written, and rotation that makes room.

Called from the writers' threads; one lock, held while old chunks are deleted, because whoever
waits for it needs that room, too.
"""

import logging
import sqlite3
import threading
from pathlib import Path

from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.index import Index
from ucam.storage.layout import CHAIN, Place, chunk_path
from ucam.storage.protection import SHARE, Protected
from ucam.storage.records import Chunk
from ucam.storage.rotation import BLOCK, Ledger, NoSpace, choose
from ucam.storage.sealing import Sealer

_log = logging.getLogger(__name__)
CANDIDATES = 24  # how many of the oldest are looked at in one step; usually one or two go


class Space:
    """The ledger of `root`, and what enforces it."""

    def __init__(
        self,
        root: Path,
        index: Index,
        ledger: Ledger,
        disk: Disk,
        sealer: Sealer,
        *,
        folders: int,
        foreign: int,
    ) -> None:
        self.sealer = sealer
        self._root = root
        self._index = index
        self._ledger = ledger
        self._disk = disk
        self._folders = folders
        self._foreign = foreign
        self._lock = threading.Lock()
        self._refresh()

    @property
    def total(self) -> int:
        """Bytes kept and reserved."""
        return self._ledger.total

    @property
    def limit(self) -> int | None:
        """`maxspace`; None: only the disk is the limit."""
        return self._ledger.maxspace

    def room(self) -> int:
        """Bytes that may come before something has to go."""
        free = self._disk.free(self._root) - self._ledger.reserve
        if self._ledger.maxspace is not None:
            free = min(free, self._ledger.maxspace - self._ledger.total)
        return max(0, free)

    def chunk_limit(self) -> int | None:
        """How large one chunk may become now, in bytes."""
        return self._ledger.chunk_limit()

    def claim(self, chunk: int) -> bool:
        """Take an id for a chunk that is about to be opened; False if another one has it."""
        with self._lock:
            return self._ledger.claim(chunk)

    def grow(self, chunk: int, size: int) -> None:
        """`chunk` may be `size` bytes from now on; deletes the oldest chunks for that.

        Raises `NoSpace`, and then nothing is reserved.
        """
        with self._lock:
            while short := self._ledger.shortage(chunk, size, self._disk.free(self._root)):
                self._rotate(short)
            self._ledger.grow(chunk, size)

    def written(self, chunk: int, size: int) -> None:
        """`chunk` is `size` bytes long now."""
        with self._lock:
            self._ledger.written(chunk, size)

    def closed(self, chunk: int, size: int) -> None:
        """`chunk` is closed and in the index."""
        with self._lock:
            self._ledger.close(chunk, size)
            self._refresh()

    def protect(self, place: Place, span: Protected) -> None:
        """Keep a span from rotation, which waits meanwhile. Raises `TooMuch`. Blocks."""
        with self._lock:
            self._index.call(Database.protect, place, span, self.protectable())

    def protectable(self) -> int:
        """How many bytes may be protected in all."""
        whole = self._ledger.maxspace
        return (self._ledger.total + self.room() if whole is None else whole) // SHARE

    def dropped(self, chunk: int) -> None:
        """`chunk` is gone without having been closed."""
        with self._lock:
            self._ledger.drop(chunk)

    def found(self, more: int) -> None:
        """So many bytes (whole blocks) more, or less, are kept than was known."""
        with self._lock:
            self._ledger.closed += more
            self._refresh()

    def beside(self, more: int) -> None:
        """What stands beside the chunks, but for folders, has grown by so many bytes."""
        with self._lock:
            self._foreign += more
            self._refresh()

    def folders_made(self, count: int) -> None:
        """So many new folders exist."""
        with self._lock:
            self._folders += count
            self._refresh()

    def set_limits(self, maxspace: int | None, reserve: int) -> None:
        """Other limits from now on; `trim` brings down what is too much."""
        with self._lock:
            self._ledger.maxspace, self._ledger.reserve = maxspace, reserve

    def trim(self) -> None:
        """Delete what is too much already (`maxspace` became smaller); raises `NoSpace`."""
        with self._lock:
            while self._ledger.maxspace is not None and (
                (over := self._ledger.total - self._ledger.maxspace) > 0
            ):
                self._rotate(over)

    def _refresh(self, footprint: int | None = None) -> None:
        """`footprint`: of the index, from whoever has asked it anyway."""
        if footprint is None:
            footprint = self._index.call(Database.footprint)
        # Folders are counted as a block each: some who measure count them, too.
        self._ledger.fixed = footprint + self._folders * BLOCK + self._foreign

    def _rotate(self, short: int) -> None:
        """Delete the oldest chunks until about `short` bytes are free; at least one goes.

        Row marked, file unlinked, directory synced, row gone: at any moment a restart finds
        either the whole chunk, or a mark that tells it to go on deleting.
        """
        leaving = self._index.call(lambda database: _mark(database, short))
        for chunk in leaving:
            self._ledger.deleted(chunk.bytes)
        self._refresh(self._delete(leaving))

    def _delete(self, chunks: list[Chunk]) -> int:
        """Returns the index's footprint."""
        gone, folders = [], set()
        for chunk in chunks:
            path = self._root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
            try:
                self._disk.unlink(path)
                folders.add(path.parent)
            except FileNotFoundError:
                _log.warning("%s was to be deleted, but somebody had done so already", path)
            except OSError as error:
                # It still takes its room: back into the ledger; the mark stays for the next start.
                _log.error("%s can't be deleted: %s", path, error)
                self._ledger.deleted(-chunk.bytes)
                continue
            gone.append(chunk.id)
        for folder in folders:
            self._disk.sync_folder(folder)
        taken = [chunk for chunk in chunks if chunk.id in gone]
        footprint = self._index.call(lambda database: self._forget(database, taken))
        for folder in folders:
            self._remove_empty(folder)
        return footprint

    def _forget(self, database: Database, taken: list[Chunk]) -> int:
        try:
            with database.transaction():
                self.sealer.taken(database, taken)
                database.remove([chunk.id for chunk in taken])
        except sqlite3.Error:
            self.sealer.doubt()
            raise
        return database.footprint()

    def _remove_empty(self, hour: Path) -> None:
        """Take away an hour's folder, and its day's, when nothing is in them any more."""
        if self._disk.remove_if_empty(hour):
            self._folders -= 1
            chain = hour.parent / CHAIN
            if [path.name for path in hour.parent.iterdir()] == [CHAIN]:
                self._foreign -= chain.stat().st_size
                self._disk.unlink(chain)
            if self._disk.remove_if_empty(hour.parent):
                self._folders -= 1


def _mark(database: Database, short: int) -> list[Chunk]:
    """Choose the oldest that free `short` bytes (or some of them) and mark them as leaving."""
    candidates = database.oldest(CANDIDATES)
    chosen = choose(short, candidates)
    if chosen is None:
        if len(candidates) < CANDIDATES:
            raise NoSpace(f"{short} bytes are missing, and nothing is left to delete")
        chosen = candidates
    wanted = {candidate.id for candidate in chosen}
    database.mark_leaving(wanted)
    return [chunk for chunk in database.leaving() if chunk.id in wanted]
