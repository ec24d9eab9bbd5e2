"""What a start finds on the disk, brought back to what design says it is.

A `.part` is cut after its last whole fragment and closed like any other; a file without a row gets
one; a row without a file goes, and is told; a deletion that was begun is ended.
"""

import os
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ucam.media import MediaError
from ucam.media.clock import microseconds
from ucam.media.fmp4 import IndexEntry, sidx
from ucam.media.scan import ChunkScan
from ucam.storage.chain import RECOVERED, Parts
from ucam.storage.database import DamagedIndex, Database
from ucam.storage.disk import Disk
from ucam.storage.layout import INDEX, PROTECTED, Found, Walk, chunk_path, find_chunk, walk
from ucam.storage.rebuild import UNKNOWN, Progress, rebuild
from ucam.storage.records import Chunk, Durable, Gap
from ucam.storage.scanning import scan_file
from ucam.storage.sealing import Sealer, hash_parts
from ucam.storage.writer import GAP_TOLERANCE_US, Activity

LOST_FILE = "the file was missing"
# With more chunks than these a start looks only at what was open or being deleted; the rest is
# looked at while it records.
MOST_COMPARED = 20_000
# A file in which nothing can be read is deleted when it is this small: nothing was confirmed.
NOTHING_BYTES = 1 << 20
DAMAGED = ".damaged"
FOREIGN = "foreign-bytes"
LINE_BYTES = 600  # of a chunk in its day's chain; more than any has


@dataclass(slots=True)
class Recovered:
    """What was found and done. `told` are plain sentences; `closed` bytes in whole blocks."""

    told: list[str] = field(default_factory=list)
    closed: int = 0
    folders: int = 0
    foreign_bytes: int = 0
    compared: bool = True  # with every file; else that is still to be done


def nothing_shown(_done: int, _total: int) -> None:
    """For those who don't want to see progress."""


def set_aside_if_damaged(root: Path) -> str | None:
    """Rename an index that SQLite can't read, so that a new one is made from the files."""
    path = root / INDEX
    try:
        Database(path).close()
    except DamagedIndex:
        aside = path.with_name(f"{INDEX}.damaged-{int(time.time())}")
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(INDEX + suffix).unlink(missing_ok=True)
        return f"the index was damaged; it is set aside as {aside.name} and made anew"
    return None


def recover(
    root: Path,
    database: Database,
    disk: Disk,
    sealer: Sealer,
    progress: Progress = nothing_shown,
) -> Recovered:
    """Compare disk and index, and mend. Blocks; runs before anything is recorded.

    `progress` is told how many files of how many are done, when there are many.
    """
    result = Recovered()
    _end_deletions(root, database, disk, sealer, result)
    if database.count:
        _keep_protected(database, result)
    if database.count > MOST_COMPARED:
        _look_at_what_was_open(root, database, disk, sealer, result)
        return result
    found = walk(root)
    if not database.count:
        known = rebuild(database, found.files, progress)
        if known:
            result.told.append(f"the index was made anew from {len(known)} files")
        _restore_protected(database, result)
        for place in {file.place for file in found.files}:
            sealer.adopt(database, place)
    _compare(root, database, disk, sealer, found, result)
    if result.told:
        found = walk(root)  # something was deleted or set aside
    for _, chunk in database.begun():
        database.not_opened(chunk)
    database.forget_unused_runs()
    result.closed = database.closed_blocks
    result.folders = found.folders
    result.foreign_bytes = found.foreign_bytes + found.chain_bytes
    database.note(FOREIGN, found.foreign_bytes)
    if found.foreign:
        result.told.append(
            f"{len(found.foreign)} files in the folder are not ucam's, such as {found.foreign[0]};"
            " they count against maxspace and are left alone"
        )
    return result


def _restore_protected(database: Database, result: Recovered) -> None:
    try:
        spans = database.restore_protected()
    except ValueError as error:
        result.told.append(f"{PROTECTED} can't be read: {error}; nothing is protected any more")
        spans = 0
    if spans:
        result.told.append(f"{spans} protected spans are protected again")
    _keep_protected(database, result)


def _keep_protected(database: Database, result: Recovered) -> None:
    try:
        database.keep_protected()
    except OSError as error:  # a disk that is full: room is made after this
        result.told.append(f"{PROTECTED} can't be written: {error}")


def _look_at_what_was_open(
    root: Path, database: Database, disk: Disk, sealer: Sealer, result: Recovered
) -> None:
    for place, chunk in database.begun():
        file = find_chunk(root, place, chunk)
        if file is not None and not database.has(chunk):
            result.told.append(take_in(root, database, disk, sealer, file))
        database.not_opened(chunk)
    result.closed, result.folders = database.closed_blocks, database.folders()
    result.foreign_bytes = (database.fact(FOREIGN) or 0) + database.count * LINE_BYTES
    result.compared = False


def _end_deletions(
    root: Path, database: Database, disk: Disk, sealer: Sealer, result: Recovered
) -> None:
    leaving = database.leaving()
    for chunk in leaving:
        path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
        if path.exists():
            disk.unlink(path)
            disk.sync_folder(path.parent)
    if leaving:
        sealer.taken(database, leaving)
        database.remove([chunk.id for chunk in leaving])
        result.told.append(f"the deletion of {len(leaving)} old chunks was ended")


def _compare(
    root: Path,
    database: Database,
    disk: Disk,
    sealer: Sealer,
    found: Walk,
    result: Recovered,
) -> None:
    closed = {file.start_us: file for file in found.files if file.duration_ms is not None}
    for chunk in list(database.all_chunks()):
        path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
        file = closed.get(chunk.id)
        if file is None or file.path != path:
            database.remove([chunk.id])
            if file is None:
                database.add_gap(chunk.place, Gap(chunk.id, chunk.end_us, LOST_FILE))
                result.told.append(f"{path} is missing: its row is taken out of the index")
        elif file.size != chunk.bytes:
            result.told.append(f"{path} has {file.size} bytes, not {chunk.bytes}: read anew")
            database.remove([chunk.id])
        else:
            del closed[chunk.id]
    # What is left has no row. Parts come last: a device's newest access unit is in its part.
    parts = [file for file in found.files if file.duration_ms is None]
    parts.sort(key=lambda file: file.path.stat().st_mtime_ns)
    for file in [*sorted(closed.values(), key=lambda file: file.start_us), *parts]:
        result.told.append(take_in(root, database, disk, sealer, file))


def take_in(root: Path, database: Database, disk: Disk, sealer: Sealer, file: Found) -> str:
    """Close a file as the writer does, in the same order, and give it its row."""
    if file.duration_ms is None and database.has(file.start_us):
        disk.rename(file.path, file.path.with_name(file.path.name + DAMAGED))
        return f"{file.path} has the start of another chunk: set aside"
    descriptor = os.open(file.path, os.O_RDWR | os.O_CLOEXEC)
    try:
        held = read_file(descriptor, file.size)
        if held is not None and held.fragments and not _whole(file, held):
            _cut_and_index(disk, descriptor, file.size, held)
    finally:
        os.close(descriptor)
    if held is None or not held.fragments:
        return _without_media(disk, file)
    chunk, durable = describe(file, held)
    path = root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
    if path != file.path:
        disk.rename(file.path, path)
    disk.sync_folder(path.parent)
    last = database.durable(chunk.place)
    behind = last is not None and last.run == durable.run and last.number >= durable.number
    sealer.add(
        database,
        chunk,
        None if behind else durable,
        _gap_before(database, chunk),
        lambda: _hash(path, held),
        RECOVERED,
    )
    cut = file.size - held.valid_length
    seconds = chunk.duration_us / 1e6
    return f"{path.name} taken in: {seconds:.1f} s" + (f", {cut} bytes cut off" if cut else "")


def _hash(path: Path, held: ChunkScan) -> Parts:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_parts(descriptor, held.valid_length, held.fragments[0].offset)
    finally:
        os.close(descriptor)


def _whole(file: Found, held: ChunkScan) -> bool:
    """Whether the file was closed already, to its end."""
    return file.duration_ms is not None and held.indexed and file.size == held.valid_length


def read_file(descriptor: int, size: int) -> ChunkScan | None:
    """What a chunk's file holds; None when nothing in it can be read."""
    if size == 0:
        return None
    try:
        held = scan_file(descriptor, size)
    except MediaError:
        return None
    if held.fragments:
        return held
    head = os.pread(descriptor, 1 << 18, held.init_length)
    start = held.init_length + head.find(b"prft") - 4
    if start <= held.init_length + 8:
        return held
    # The power went while the sidx was written over its free box: make that box whole again.
    room = start - held.init_length
    os.pwrite(descriptor, room.to_bytes(4) + b"free" + bytes(room - 8), held.init_length)
    return scan_file(descriptor, size)


def _cut_and_index(disk: Disk, descriptor: int, size: int, held: ChunkScan) -> None:
    if size != held.valid_length:
        disk.truncate(descriptor, held.valid_length)
    if held.index is not None:
        offset, room = held.index
        earliest = min(fragment.pts_90k for fragment in held.fragments)
        disk.overwrite(descriptor, sidx(_entries(held), earliest, room), offset)
    disk.sync(descriptor)


def _entries(held: ChunkScan) -> list[IndexEntry]:
    """As the writer keeps them: a fragment lasts until the next one begins."""
    entries = [
        IndexEntry(this.size, after.dts_90k - this.dts_90k, this.keyframe)
        for this, after in pairwise(held.fragments)
    ]
    last = held.fragments[-1]
    return [*entries, IndexEntry(last.size, last.duration_90k, last.keyframe)]


def _without_media(disk: Disk, file: Found) -> str:
    if file.size <= NOTHING_BYTES:
        disk.unlink(file.path)
        disk.sync_folder(file.path.parent)
        return f"{file.path} held no whole fragment: deleted"
    disk.rename(file.path, file.path.with_name(file.path.name + DAMAGED))
    disk.sync_folder(file.path.parent)
    return f"{file.path} can't be read: set aside as {file.path.name}{DAMAGED}"


def describe(file: Found, held: ChunkScan) -> tuple[Chunk, Durable]:
    """The row of a file with at least one fragment, and its last access unit."""
    first, last = held.fragments[0], held.fragments[-1]
    end_dts = last.dts_90k + last.duration_90k
    duration_us = microseconds(end_dts - first.dts_90k)
    activity = Activity()
    for fragment in held.fragments:
        activity.add(microseconds(fragment.pts_90k) - file.start_us, fragment.size)
    run = held.run.run if held.run is not None else ""
    first_number = held.run.first_number if held.run is not None else 0
    last_number = first_number + sum(fragment.samples for fragment in held.fragments) - 1
    chunk = Chunk(
        file.start_us,
        file.place,
        duration_us,
        held.valid_length,
        held.codec_strings,
        held.track.width,
        held.track.height,
        run,
        first_number,
        last_number,
        activity.pack(),
    )
    frame_90k = last.duration_90k // last.samples
    last_us = file.start_us + microseconds(end_dts - frame_90k - first.dts_90k)
    return chunk, Durable(run, last_number, last_us)


def _gap_before(database: Database, chunk: Chunk) -> Gap | None:
    before = database.newest_before(chunk.place, chunk.id)
    if before is None or chunk.id - before.end_us <= GAP_TOLERANCE_US:
        return None
    for gap in database.gaps(chunk.place, before.end_us - GAP_TOLERANCE_US, chunk.id):
        if gap.to_us >= chunk.id - GAP_TOLERANCE_US:
            return None
    return Gap(before.end_us, chunk.id, UNKNOWN)
