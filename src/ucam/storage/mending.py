"""Chunks that the disk didn't let close, closed as soon as it does: no restart is needed.

The same steps as start-up recovery takes, on a new descriptor: read what is whole, cut, index,
rename, row. Until then the chunk's room stays reserved.
"""

import logging
import sqlite3
import threading
from pathlib import Path

from ucam.media import MediaError
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.index import Index
from ucam.storage.layout import Found, Place, find_chunk
from ucam.storage.recovery import take_in
from ucam.storage.space import Space
from ucam.storage.writer import LiveChunk

_log = logging.getLogger(__name__)


class Mender:
    """The unfinished chunks of one storage. Every method may be called from any thread."""

    def __init__(self, root: Path, index: Index, space: Space, disk: Disk) -> None:
        self._root = root
        self._index = index
        self._space = space
        self._disk = disk
        # Each is a file that exists: the disk's own size bounds them.
        self._unfinished: dict[int, Place] = {}
        self._lock = threading.Lock()

    def add(self, chunk: LiveChunk) -> None:
        """This chunk's file is left somewhere between its last fragment and its row."""
        self._unfinished[chunk.id] = chunk.place

    @property
    def waiting(self) -> int:
        """How many are not mended yet."""
        return len(self._unfinished)

    def start(self) -> None:
        """Mend in the background, if there is something to mend and nobody is at it."""
        if self._unfinished and not self._lock.locked():
            threading.Thread(target=self.mend, name="mend", daemon=True).start()

    def mend(self) -> None:
        """Try each once. Blocks."""
        with self._lock:
            for chunk, place in list(self._unfinished.items()):
                try:
                    self._mend(chunk, place)
                except (OSError, sqlite3.Error, MediaError) as error:
                    _log.warning("chunk %d of %s is not closed yet: %s", chunk, place.jid, error)
                    continue
                del self._unfinished[chunk]

    def _mend(self, chunk: int, place: Place) -> None:
        found = find_chunk(self._root, place, chunk)
        if found is None:
            self._space.dropped(chunk)  # somebody has deleted it
            return
        done = self._index.call(Database.has, chunk)
        if not done or found.duration_ms is None:
            _log.warning("%s", self._index.call(self._take_in, found))
        row = self._index.call(Database.chunk, chunk)
        if row is None:
            self._space.dropped(chunk)  # nothing in it was whole
        else:
            self._space.closed(chunk, row.bytes)

    def _take_in(self, database: Database, found: Found) -> str:
        return take_in(self._root, database, self._disk, self._space.sealer, found)
