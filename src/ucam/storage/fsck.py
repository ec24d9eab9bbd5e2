"""The index held against the disk: every invariant of what storage keeps.

Reads only. A storage that records meanwhile changes what is looked at: what is open is left out,
and what looks wrong is looked at again before it is told.
"""

import io
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import av

from ucam.media import MediaError
from ucam.media.clock import microseconds
from ucam.storage.config import StorageConfig
from ucam.storage.database import Database, IndexFault
from ucam.storage.devices import DAY_US
from ucam.storage.layout import (
    INDEX,
    Found,
    Place,
    chunk_path,
    days,
    files_of_day,
    places,
)
from ucam.storage.rebuild import Progress
from ucam.storage.records import Chunk, Gap
from ucam.storage.recovery import nothing_shown
from ucam.storage.scanning import scan_file
from ucam.storage.writer import GAP_TOLERANCE_US

LOOKS = 3
BETWEEN_LOOKS_S = 1.0
# Of each chunk the first group of pictures is decoded, at most so many pictures.
DECODED_PICTURES = 3
AUDIO = ("aac", "opus")


def check(
    config: StorageConfig, *, quick: bool = False, progress: Progress = nothing_shown
) -> list[str]:
    """The problems, each with its file; empty when every invariant holds. Blocks.

    `quick`: files are held against the index by name and size only, not read.
    """
    problems = look(config, quick=quick, progress=progress)
    for _ in range(LOOKS - 1):
        if not problems:
            break
        # Chunks are opened, closed and deleted all the time: only what stays is a problem.
        time.sleep(BETWEEN_LOOKS_S)
        again = set(look(config, quick=quick, progress=progress))
        problems = [problem for problem in problems if problem in again]
    return problems


def look(
    config: StorageConfig, *, quick: bool = False, progress: Progress = nothing_shown
) -> list[str]:
    """One look at everything."""
    root = config.storage.path
    if not (root / INDEX).exists():
        return [f"{root / INDEX}: there is no index"]
    try:
        database = Database(root / INDEX)
    except (IndexFault, sqlite3.Error) as error:
        return [str(error)]
    try:
        return list(_problems(config, root, database, None if quick else progress))
    finally:
        database.close()


def _problems(
    config: StorageConfig, root: Path, database: Database, progress: Progress | None
) -> Iterator[str]:
    """Without `progress` files aren't read. A day of a device is in memory at a time."""
    yield from (f"{root / INDEX}: {text}" for text in database.problems())
    yield from _size(config, root)
    done, total = 0, database.count
    for place in sorted({*database.places(), *places(root)}):
        order = Order(root, database, place)
        for day_us in sorted({*database.days(place), *days(root, place)}):
            # The files first: one that is closed meanwhile has its row then.
            files = files_of_day(root, place, day_us)
            chunks = database.between(place, day_us, day_us + DAY_US)
            yield from _rows_and_files(root, chunks, files, database)
            for chunk in chunks:
                yield from order.problems(chunk)
                if progress is not None:
                    yield from _content(root, chunk)
                    done += 1
                    progress(done, max(done, total))


def _rows_and_files(
    root: Path, chunks: list[Chunk], files: Iterable[Found], database: Database
) -> Iterator[str]:
    """Each row has its file with its size; each file is indexed or open."""
    leaving = {chunk.id for chunk in database.leaving()}
    by_path = {file.path: file for file in files}
    for chunk in chunks:
        path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
        file = by_path.pop(path, None)
        if file is None and chunk.id not in leaving:
            yield f"{path}: in the index, but there is no such file"
        elif file is not None and file.size != chunk.bytes:
            yield f"{path}: has {file.size} bytes, {chunk.bytes} in the index"
    for path, file in by_path.items():
        if file.duration_ms is not None:
            yield f"{path}: is not in the index"


def _size(config: StorageConfig, root: Path) -> Iterator[str]:
    """The total is at most `maxspace`."""
    maxspace = config.storage.maxspace
    if maxspace is None:
        return
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    if total > maxspace:
        yield f"{root}: holds {total} bytes, more than maxspace = {int(maxspace)}"


def _content(root: Path, chunk: Chunk) -> Iterator[str]:
    """Chunks are whole, say what the index says, and decode."""
    path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # told above
    try:
        size = os.fstat(descriptor).st_size
        held = scan_file(descriptor, size)
        if not held.fragments:
            yield f"{path}: holds no fragment"
            return
        if held.valid_length != size:
            yield f"{path}: {size - held.valid_length} bytes at its end are no fragment"
        if not held.indexed:
            yield f"{path}: has no sidx"
        begin_us = microseconds(min(fragment.pts_90k for fragment in held.fragments))
        if abs(begin_us - chunk.id) > GAP_TOLERANCE_US:
            yield f"{path}: begins at another time than its name says"
        count = sum(fragment.samples for fragment in held.fragments)
        if count != chunk.last_number - chunk.first_number + 1:
            yield f"{path}: holds {count} pictures, not the number in the index"
        if held.fragments[0].keyframe:
            first = held.fragments[0]
            data = os.pread(descriptor, first.offset + first.size, 0)
            yield from _decode(path, data, "audio" if held.track.codec in AUDIO else "video")
            if first.audio:
                yield from _decode(path, data, "audio")
    except (MediaError, OSError) as error:
        yield f"{path}: {error}"
    finally:
        os.close(descriptor)


def _decode(path: Path, data: bytes, kind: str) -> Iterator[str]:
    """The first pictures, or the first sound, can be decoded."""
    try:
        with av.open(io.BytesIO(data), "r", format="mp4") as container:
            frames = container.decode(**{kind: 0})
            got = sum(1 for _ in zip(range(DECODED_PICTURES), frames, strict=False))
    except av.FFmpegError as error:
        yield f"{path}: does not decode: {error}"
        return
    if not got:
        yield f"{path}: does not decode: no {kind} came out"


class Order:
    """No two chunks of a device overlap but after a told step back; each gap has its reason."""

    def __init__(self, root: Path, database: Database, place: Place) -> None:
        self._root = root
        self._database = database
        self._place = place
        self._reached_us: int | None = None

    def problems(self, chunk: Chunk) -> Iterator[str]:
        """What is wrong between this chunk, the next one, and those before it."""
        if self._reached_us is None:
            self._reached_us = chunk.end_us
            return
        path = self._root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
        distance = chunk.id - self._reached_us
        if distance > GAP_TOLERANCE_US:
            gaps = self._gaps(self._reached_us, chunk.id)
            ends = self._reached_us, chunk.id
            if not (_told(gaps, *ends) or _stepped(gaps, *ends)):
                yield f"{path}: {distance / 1e6:.1f} s are missing before it, without a reason"
        overlap_end_us = min(self._reached_us, chunk.end_us)
        if distance < -GAP_TOLERANCE_US:
            gaps = self._gaps(chunk.id, overlap_end_us)
            if not _stepped(gaps, chunk.id, overlap_end_us):
                yield f"{path}: overlaps another chunk, and no step of the clock was told"
        self._reached_us = max(self._reached_us, chunk.end_us)

    def _gaps(self, from_us: int, to_us: int) -> list[Gap]:
        return self._database.gaps(
            self._place, from_us - GAP_TOLERANCE_US, to_us + GAP_TOLERANCE_US
        )


def _stepped(gaps: list[Gap], from_us: int, to_us: int) -> bool:
    """Whether a told step back explains that this stretch was recorded twice, or not at all."""
    return any(
        gap.to_us - GAP_TOLERANCE_US <= from_us and to_us <= gap.from_us + GAP_TOLERANCE_US
        for gap in gaps
        if gap.to_us < gap.from_us
    )


def _told(gaps: list[Gap], from_us: int, to_us: int) -> bool:
    """Whether told gaps fill the stretch."""
    reached = from_us + GAP_TOLERANCE_US
    for gap in gaps:
        if gap.from_us <= reached and gap.to_us > gap.from_us and gap.reason:
            reached = max(reached, gap.to_us + GAP_TOLERANCE_US)
    return reached >= to_us
