"""The index from an hour's chunks to years of them: what is asked of it, and making it anew."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.result import OURS, Missing, Plan, Plot, Point, Result, Row
from storage.helpers import PLACE, START_US, opened, sealer
from ucam.storage.chain import RECORDED, Parts
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.layout import INDEX, Place, chunk_path
from ucam.storage.records import Chunk
from ucam.storage.recovery import recover
from ucam.storage.sealing import Sealer

START, DAY, STEP, REBUILD = "start", "a camera's day", "a step of rotation", "made anew"
CAMERAS = 10
MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
CHUNK_US = 2_000_000
STEPS = 200
# Above this the rows are written directly, with files for those chunks alone that rotation takes:
# every file of an index that is made anew is read and signed.
MOST_FILES = 10_000
ROWS_A_TRANSACTION = 10_000


def measure(plan: Plan) -> Iterator[Row]:
    """CPU of each, by the number of chunks."""
    sizes = plan.pick(full=(1_000, 10_000, 100_000, 1_000_000), quick=(1_000, 10_000))
    file_s = 0.0
    for size in sizes:
        folder = Path(tempfile.mkdtemp(prefix="ucam-bench-"))
        root = folder / "chunks"
        try:
            if size <= MOST_FILES:
                fill(root, size)
                rebuilt = _rebuilt(root, size, plan)
                file_s = rebuilt.median / size
                yield rebuilt
            else:
                fill_rows(root, size)
            yield from _measured(root, size, plan)
        finally:
            shutil.rmtree(folder)
    if sizes[-1] > MOST_FILES:
        yield Missing(
            f"{REBUILD} of more than {MOST_FILES:,} chunks",
            f"At {1000 * file_s:.1f} ms a file, a million would take {1e6 * file_s / 60:.0f} min.",
        )


def fill(root: Path, count: int) -> None:
    """Ten cameras' chunks, one each minute: one recorded chunk of 2 s under many names. Files
    without an index.
    """
    _files(root, count, _recorded(root))


def fill_rows(root: Path, count: int) -> None:
    """The same as an index, with files for the oldest."""
    path = _recorded(root)
    database = Database(root / INDEX)
    try:
        (model,) = database.all_chunks()
        database.remove([model.id])
        for begin in range(0, count, ROWS_A_TRANSACTION):
            with database.transaction():
                for number in range(begin, min(begin + ROWS_A_TRANSACTION, count)):
                    place, start_us = _which(number)
                    database.add_chunk(replace(model, id=start_us, place=place), None)
    finally:
        database.close()
    _files(root, STEPS, path)


def _recorded(root: Path) -> Path:
    """One chunk, beside `root` and not in it any more; its row stays."""
    with opened(root) as store:
        store.record(50)
        (recorded,) = store.files()
    return recorded.rename(root.parent / "chunk.mp4")


def _which(number: int) -> tuple[Place, int]:
    """Camera and start (µs) of a chunk."""
    minute, camera = divmod(number, CAMERAS)
    place = Place(PLACE.location, f"cam{camera:03}@studio.loc")
    return place, START_US + minute * MINUTE_US + camera * 1000


def _files(root: Path, count: int, path: Path) -> None:
    for number in range(count):
        name = root / chunk_path(*_which(number), CHUNK_US)
        name.parent.mkdir(parents=True, exist_ok=True)
        name.hardlink_to(path)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU time of this process."""
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def _rebuilt(root: Path, size: int, plan: Plan) -> Result:
    took_s = []
    for _ in range(plan.pick(full=plan.runs, quick=1)):
        for index in root.glob(f"{INDEX}*"):
            index.unlink()
        took_s.append(cpu_ms(partial(_start, root)) / 1000)
    return Result(REBUILD, OURS, "s CPU", tuple(took_s), size, "from files alone")


def _measured(root: Path, size: int, plan: Plan) -> Iterator[Row]:
    starts = tuple(cpu_ms(partial(_start, root)) for _ in range(plan.runs))
    megabytes = (root / INDEX).stat().st_size / 1e6
    yield Result(START, OURS, "ms CPU", starts, size, f"{megabytes:.1f} MB of index")
    yield Result(DAY, OURS, "ms CPU", tuple(_days(root, size)), size)
    yield Result(STEP, OURS, "ms CPU", tuple(_steps(root, min(STEPS, size // 10))), size)


def _start(root: Path) -> None:
    database = Database(root / INDEX)
    try:
        recover(root, database, Disk(), sealer(root))
    finally:
        database.close()


def _days(root: Path, size: int) -> list[float]:
    database = Database(root / INDEX)
    if database.count != size:
        raise SystemExit(f"{database.count} rows of {size} files")
    last_us = START_US + max(0, size // CAMERAS - 1440) * MINUTE_US
    found = []
    for day in range(20):
        begin_us = min(START_US + day * DAY_US, last_us)
        place = Place(PLACE.location, f"cam{day % CAMERAS:03}@studio.loc")
        found.append(cpu_ms(partial(database.chunks, place, begin_us, begin_us + DAY_US, 5000)))
    database.close()
    return found


def _steps(root: Path, count: int) -> list[float]:
    """All that a step does: the oldest chunk's file, folder, row and link, and the signature that
    says that rotation took it. Of a trim that takes several, each one's part.
    """
    with opened(root) as store:
        for candidate in store.index.call(lambda database: database.oldest(count)):
            chunk = store.index.call(Database.chunk, candidate.id)
            assert chunk is not None
            store.index.call(partial(_seal, store.space.sealer, chunk))
        store.space.set_limits(store.space.total, 0)

        def trim() -> None:
            store.space.set_limits(store.space.total - 1, 0)
            store.space.trim()

        found = []
        left = store.index.call(lambda database: database.count)
        end = left - count
        while left > end:
            before, spent = left, cpu_ms(trim)
            left = store.index.call(lambda database: database.count)
            found.append(spent / (before - left))
        return found


def _seal(sealer: Sealer, chunk: Chunk, database: Database) -> None:
    database.remove([chunk.id])
    parts = Parts(100, "0" * 64, "0" * 64)
    sealer.add(database, chunk, None, None, lambda: parts, RECORDED)


POINT = Point(
    "index",
    "The index",
    """`index.sqlite` of ten cameras' chunks of a minute, and its parts called as the storage calls
    them, in this process; CPU, without what the disk takes for its syncs. *Start* is opening it
    and looking for what an end without warning has left (up to 20,000 files are compared one by
    one). *A camera's day* is what a timeline asks. *A step of rotation* takes the oldest chunk's
    file, folder, row and link, and signs that. *Made anew* is a start without an index, from the
    files (one recorded chunk of 2 s under many names), each of which is read and signed; above
    10,000 chunks the index is filled directly, with files for those alone that rotation takes.
    No peer has such an index in the open.""",
    measure,
    (
        Plot(DAY, "A camera's day out of the index", axis="chunks", log_x=True),
        Plot(STEP, "A step of rotation", axis="chunks", log_x=True),
        Plot(REBUILD, "The index made anew", axis="chunks", log_x=True, log_y=True),
    ),
)
