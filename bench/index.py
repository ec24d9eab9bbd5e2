"""The index at the size of years: a million chunks; anew from a hundred thousand files."""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from storage.helpers import PLACE, START_US, opened, sealer
from ucam.storage.chain import RECORDED, Parts
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.layout import INDEX, Place, chunk_path
from ucam.storage.records import Chunk, Durable
from ucam.storage.recovery import recover
from ucam.storage.sealing import Sealer

CHUNKS = 1_000_000
CAMERAS = 10
MINUTE_US = 60_000_000
FILES = 100_000
CHUNK_US = 2_000_000
STEPS = 200


def million(root: Path, count: int = CHUNKS) -> None:
    """An index of ten cameras' minutes."""
    database = Database(root / INDEX)
    places = [Place("studio", f"cam{number:03}@studio.loc") for number in range(CAMERAS)]
    for begin in range(0, count, 20_000):
        with database.transaction():
            for number in range(begin, min(count, begin + 20_000)):
                minute, camera = divmod(number, CAMERAS)
                start_us = START_US + minute * MINUTE_US + camera * 1000
                chunk = Chunk(
                    *(start_us, places[camera], MINUTE_US, 15_000_000, "avc1.640028", 1920, 1080),
                    *("run1", minute * 1800, minute * 1800 + 1799, bytes(12)),
                )
                database.add_chunk(chunk, Durable("run1", chunk.last_number, chunk.end_us))
    database.close()


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall time in seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Print the rows."""
    folder = Path(tempfile.mkdtemp(prefix="ucam-bench-"))
    try:
        _million(folder / "million")
        _rebuild(folder / "files")
    finally:
        shutil.rmtree(folder)


def _million(root: Path) -> None:
    root.mkdir()
    million(root)
    size = (root / INDEX).stat().st_size
    print(f"\nindex of {CHUNKS:,} chunks of {CAMERAS} cameras, {size / 1e6:.0f} MB:")
    held: list[Database] = []

    def start() -> None:
        database = Database(root / INDEX)
        recover(root, database, Disk(), sealer(root))
        held.append(database)

    cpu, wall = cost(start)
    print(f"  start                           {wall * 1e3:8.0f} ms ({cpu * 1e3:.0f} ms CPU)")
    database = held[0]
    days = []
    for day in range(20):
        begin = START_US + day * 86_400_000_000
        begin = min(begin, START_US + (CHUNKS // CAMERAS - 1440) * MINUTE_US)
        place = Place("studio", f"cam{day % CAMERAS:03}@studio.loc")
        days.append(cost(partial(database.chunks, place, begin, begin + 86_400_000_000, 5000)))
    print(f"  a camera's day                  {1e3 * sum(c for c, _ in days) / 20:8.1f} ms CPU")

    def steps() -> None:
        for _ in range(STEPS):
            chosen = [candidate.id for candidate in database.oldest(1)]
            database.mark_leaving(chosen)
            database.leaving()
            database.remove(chosen)

    cpu, wall = cost(steps)
    print(
        f"  a rotation step                 {1e3 * cpu / STEPS:8.2f} ms CPU"
        f" ({1e3 * wall / STEPS:.1f} ms with its two syncs)"
    )
    database.close()
    _whole_steps(root)


def _whole_steps(root: Path) -> None:
    """All that a step does: the oldest chunk's file, folder, row and link, and the signature that
    says that rotation took it.
    """
    with opened(root) as store:
        oldest = store.index.call(lambda database: database.oldest(STEPS))
        for candidate in oldest:
            chunk = store.index.call(Database.chunk, candidate.id)
            assert chunk is not None
            path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(4096))
            store.index.call(partial(_seal, store.space.sealer, chunk))
        store.space.set_limits(store.space.total, 0)

        def steps() -> None:
            for _ in range(STEPS):
                store.space.set_limits(store.space.total - 1, 0)
                store.space.trim()

        before = store.index.call(lambda database: database.count)
        cpu, wall = cost(steps)
        taken = before - store.index.call(lambda database: database.count)
        print(
            f"  all of a rotation step          {1e3 * cpu / taken:8.2f} ms CPU"
            f" ({1e3 * wall / taken:.1f} ms with its syncs; {taken} steps)"
        )


def _seal(sealer: Sealer, chunk: Chunk, database: Database) -> None:
    database.remove([chunk.id])
    parts = Parts(100, "0" * 64, "0" * 64)
    sealer.add(database, chunk, None, None, lambda: parts, RECORDED)


def _rebuild(root: Path) -> None:
    """One recorded chunk of 2 s, linked under the names of two days."""
    with opened(root) as store:
        store.record(50)
        (path,) = store.files()
    for number in range(1, FILES):
        start_us = START_US + number * CHUNK_US
        name = root / chunk_path(PLACE, start_us, CHUNK_US)
        name.parent.mkdir(parents=True, exist_ok=True)
        # ext4 takes 65,000 links of one file.
        if number % 50_000 == 0:
            shutil.copyfile(path, name)
            path = name
        else:
            name.hardlink_to(path)
    (root / INDEX).unlink()
    database = Database(root / INDEX)
    cpu, wall = cost(lambda: recover(root, database, Disk(), sealer(root)))
    print(
        f"  made anew from {FILES:,} files  {wall:8.1f} s ({cpu:.1f} s CPU),"
        f" {database.count:,} rows"
    )
    database.close()


if __name__ == "__main__":
    main()
