"""With very many chunks a start compares none of them: that is done while it records, day by day.

What is found is what start-up recovery would find: a file without a row gets one, a row without a
file goes, and both are told.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.index import Index
from ucam.storage.layout import Place, chunk_path, days, files_of_day
from ucam.storage.records import Gap
from ucam.storage.recovery import LOST_FILE, take_in
from ucam.storage.sealing import Sealer
from ucam.storage.space import Space

_log = logging.getLogger(__name__)
DAY_US = 86_400_000_000
MOST_OF_A_DAY = 100_000
PAUSE_S = 0.05  # between days: recording comes first


@dataclass(slots=True)
class Seen:
    """What one day's look found. `blocks`: by how much more, or less, is kept than was known."""

    told: list[str] = field(default_factory=list)
    blocks: int = 0


def inspect_day(
    root: Path, database: Database, disk: Disk, sealer: Sealer, place: Place, day_us: int
) -> Seen:
    """Compare one day of one device. Call it in the index's thread: so no row changes meanwhile."""
    seen = Seen()
    before = database.closed_blocks
    begun = {chunk for _, chunk in database.begun()}
    rows = {
        chunk.id: chunk
        for chunk in database.chunks(place, day_us, day_us + DAY_US, MOST_OF_A_DAY)
        if chunk.id >= day_us
    }
    files = {
        file.start_us: file
        for file in files_of_day(root, place, day_us)
        if file.duration_ms is not None
    }
    for chunk in rows.values():
        path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
        file = files.get(chunk.id)
        if file is None:
            database.remove([chunk.id])
            database.add_gap(place, Gap(chunk.id, chunk.end_us, LOST_FILE))
            seen.told.append(f"{path} is missing: its row is taken out of the index")
    for start_us, file in files.items():
        if start_us in begun or database.has(start_us):
            continue
        try:
            seen.told.append(take_in(root, database, disk, sealer, file))
        except FileNotFoundError:
            continue  # rotation was about to delete it
    seen.blocks = database.closed_blocks - before
    return seen


class Inspector:
    """The look at everything, in a thread of its own."""

    def __init__(self, root: Path, index: Index, space: Space, disk: Disk) -> None:
        self._root = root
        self._index = index
        self._space = space
        self._disk = disk
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inspect")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, finished or not. Blocks for as long as a day takes."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        told = 0
        for place, day_us in self._days():
            if self._stop.wait(PAUSE_S):
                return
            try:
                seen = self._index.call(self._look, place, day_us)
            except Exception:  # noqa: BLE001 - a look must never end the recording; it is logged
                day = datetime.fromtimestamp(day_us / 1e6, UTC).date()
                _log.exception("%s of %s can't be compared with its files", day, place.jid)
                continue
            self._space.found(seen.blocks)
            for sentence in seen.told:
                _log.warning("%s", sentence)
            told += len(seen.told)
        _log.info("every chunk was compared with its file: %d differences", told)

    def _days(self) -> Iterator[tuple[Place, int]]:
        """Days with rows or with files."""
        for place in self._index.call(Database.places):
            found = set(self._index.call(Database.days, place)) | set(days(self._root, place))
            for day_us in sorted(found):
                yield place, day_us

    def _look(self, database: Database, place: Place, day_us: int) -> Seen:
        return inspect_day(self._root, database, self._disk, self._space.sealer, place, day_us)
