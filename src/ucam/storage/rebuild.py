"""A lost index made anew from the files: names, sizes and heads; of few files more is read.

Start and duration stand in a file's name, its run and its first number in the head, what each
fragment weighs in the `sidx` behind it. Only the number of a run's last access unit asks for a
whole file. A file whose head can't be read so is left to start-up recovery, which reads all of it.
"""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, pairwise
from typing import NamedTuple

from ucam.media import MediaError
from ucam.media.fmp4 import RunMark
from ucam.media.scan import ChunkScan, scan
from ucam.storage.database import Database
from ucam.storage.layout import Found
from ucam.storage.records import Chunk, Gap
from ucam.storage.scanning import scan_file
from ucam.storage.writer import GAP_TOLERANCE_US, Activity

HEAD_BYTES = 64 * 1024
ROWS_A_TRANSACTION = 1000
LESS_THAN_A_PICTURE_US = 8_000
UNKNOWN = "not known any more: the index was lost"
_ENTRY = struct.Struct(">III")

Progress = Callable[[int, int], None]


def rebuild(database: Database, files: Iterable[Found], progress: Progress) -> set[int]:
    """Rows for closed files, into an index without rows; returns the ids that have one now.

    A device's newest file is left to recovery: what is durable stands at its end.
    """
    closed = [file for file in files if file.duration_ms is not None]
    closed.sort(key=lambda file: (file.place, file.start_us))
    done: set[int] = set()
    seen = 0
    for _, of_device in groupby(closed, lambda file: file.place):
        rows = _rows(list(of_device))
        before: Chunk | None = None
        while True:
            batch = 0
            with database.transaction():
                for chunk in rows:
                    batch += 1
                    if chunk is None:
                        continue
                    database.add_chunk(chunk, None, _gap(before, chunk))
                    done.add(chunk.id)
                    before = chunk
                    if batch == ROWS_A_TRANSACTION:
                        break
            seen += batch
            progress(seen, len(closed))
            if batch < ROWS_A_TRANSACTION:
                break
    return done


def _gap(before: Chunk | None, chunk: Chunk) -> Gap | None:
    if before is None or abs(chunk.id - before.end_us) <= GAP_TOLERANCE_US:
        return None
    reason = UNKNOWN if chunk.id > before.end_us else "the camera's clock went back"
    return Gap(before.end_us, chunk.id, reason)


def _rows(files: list[Found]) -> Iterator[Chunk | None]:
    """One device's rows but the newest, oldest first; None where more must be read."""
    heads = (read_head(file) for file in files)
    after = next(heads, None)
    for file, following in pairwise(files):
        head, after = after, next(heads, None)
        if head is None or head.run is None:
            yield None
            continue
        run = head.run
        if after is not None and after.run is not None and after.run.run == run.run:
            last_number = after.run.first_number - 1 if _close(file, following) else None
        else:
            last_number = None
        if last_number is None:
            count = _count(file)
            last_number = None if count is None else run.first_number + count - 1
        yield None if last_number is None else _chunk(file, head, run, last_number)


def _close(file: Found, after: Found) -> bool:
    """Whether not one picture is missing between two files."""
    assert file.duration_ms is not None
    return abs(after.start_us - file.start_us - file.duration_ms * 1000) < LESS_THAN_A_PICTURE_US


class Head(NamedTuple):
    """What the first bytes of a file say."""

    held: ChunkScan
    run: RunMark | None
    activity: bytes


def read_head(file: Found) -> Head | None:
    """Init segment and index of a closed file, nothing more; None if they don't say enough."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.pread(descriptor, HEAD_BYTES, 0)
        held = scan(data)
    except (OSError, MediaError):
        return None
    finally:
        os.close(descriptor)
    if not held.indexed or held.index is None:
        return None
    return Head(held, held.run, _activity(data[held.index[0] :]))


def _count(file: Found) -> int | None:
    """How many access units a whole file holds."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        held = scan_file(descriptor, file.size)
    except MediaError:
        return None
    finally:
        os.close(descriptor)
    if held.valid_length != file.size or not held.fragments:
        return None
    return sum(fragment.samples for fragment in held.fragments)


def _chunk(file: Found, head: Head, run: RunMark, last_number: int) -> Chunk:
    assert file.duration_ms is not None
    return Chunk(
        file.start_us,
        file.place,
        file.duration_ms * 1000,
        file.size,
        head.held.codec_strings,
        head.held.track.width,
        head.held.track.height,
        run.run,
        run.first_number,
        max(last_number, run.first_number),
        head.activity,
    )


def _activity(box: bytes) -> bytes:
    """From a sidx (ISO/IEC 14496-12 §8.16.3, version 1): sizes and durations of fragments."""
    timescale, count = int.from_bytes(box[16:20]), int.from_bytes(box[38:40])
    activity, at = Activity(), 0
    entries = box[40 : 40 + count * _ENTRY.size]
    for size, duration, _ in _ENTRY.iter_unpack(entries[: len(entries) // 12 * 12]):
        activity.add(at * 1_000_000 // max(1, timescale), size & 0x7FFFFFFF)
        at += duration
    return activity.pack()
