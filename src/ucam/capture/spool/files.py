"""The spool's folder: segments, and a small file of what isn't in them. Everything here blocks.

    PATH/<device JID>/000000000012.seg     access units: see `record`
    PATH/<device JID>/notes.json           gaps that storage wasn't told of yet, times of boots
    PATH/<device JID>/lock                 one process at a time

Order of a write: the segment's header and its name are synced before the first record counts as
written; each batch of records is synced before it counts.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from ucam.base.files import sync_directory, write_atomically
from ucam.capture.run import Run
from ucam.capture.spool.record import (
    HEAD_BYTES,
    Header,
    NewerSegment,
    SegmentError,
    encode_header,
    encode_record,
    header_bytes,
    parse_header,
    parse_records,
)
from ucam.capture.spool.units import Gap, Spooled
from ucam.media.access_unit import AccessUnit

_log = logging.getLogger(__name__)
_NAME = re.compile(r"(\d{12})\.seg")
NOTES = "notes.json"
LOCK = "lock"
BLOCK = 4096
# What ucam leaves to others on the disk, the token's successor among them.
RESERVE_BYTES = 64 << 20
RESERVE_SHARE = 20
MOST_BUFFERS = 1000  # one writev takes 1,024


class SpoolBusy(OSError):  # noqa: N818 - a state of the world
    """Another process uses the folder."""


@dataclass(slots=True, eq=False)
class Segment:
    """A file of the spool. Of those that this process wrote, `position` is that of the first access
    unit and `count` how many there are; of older ones `position` is None. `last` and `last_us`:
    number and time of the last picture, None while that isn't known.
    """

    path: Path
    run: Run
    first: int
    first_us: int
    start: int  # where the records begin
    size: int
    position: int | None = None
    count: int = 0
    last: int | None = None
    last_us: int | None = None
    failed: bool = field(default=False)

    @property
    def space(self) -> int:
        """Bytes it takes on the disk."""
        return -(-self.size // BLOCK) * BLOCK


class Notes(msgspec.Struct):
    """What is kept beside the segments. `boots`: µs to add to the times of a boot whose clock was
    not set, to have UTC.
    """

    gaps: list[Gap] = []
    boots: dict[str, int] = {}


class Batch(NamedTuple):
    """Access units from a segment, and where the next ones begin; None when there are none."""

    units: list[AccessUnit]
    offset: int | None
    damaged: bool


def lock(folder: Path) -> int:
    """Make the folder and take it; the descriptor to close later. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolBusy(f"another process uses {folder}") from None
    return descriptor


def recover(folder: Path) -> tuple[list[Segment], Notes, int]:
    """The segments that an earlier process left, in order; the notes; the next file's number.

    What is no segment, because a power cut came when it was made, is deleted. Raises `OSError`.
    """
    found: list[Segment] = []
    runs: dict[str, Run] = {}
    names = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    for path in names:
        try:
            segment = _read_segment(path, runs)
        except NewerSegment as error:
            _log.warning("%s is left alone: %s", path, error)
            continue
        except SegmentError as error:
            _log.warning("%s is deleted: %s", path, error)
            path.unlink()
            continue
        found.append(segment)
    number = int(names[-1].stem) + 1 if names else 0
    return found, _read_notes(folder), number


def _read_segment(path: Path, runs: dict[str, Run]) -> Segment:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        head += file.read(header_bytes(head) - len(head))
        header = parse_header(head)
        size = os.fstat(file.fileno()).st_size
    run = runs.setdefault(header.run, header.to_run())
    return Segment(path, run, header.first, header.first_us, len(head), size)


def _read_notes(folder: Path) -> Notes:
    try:
        return msgspec.json.decode((folder / NOTES).read_bytes(), type=Notes)
    except FileNotFoundError:
        return Notes()
    except (ValueError, RecursionError) as error:
        _log.warning("%s can't be used: %s", folder / NOTES, error)
        return Notes()


def write_notes(folder: Path, notes: Notes) -> None:
    """Keep the notes, atomically. Raises `OSError`."""
    write_atomically(folder / NOTES, msgspec.json.encode(notes))


def read(segment: Segment, offset: int, most_bytes: int) -> Batch:
    """About `most_bytes` of access units from `offset` on, at least one if there is any.

    Raises `OSError`.
    """
    end = segment.size
    with segment.path.open("rb", buffering=0) as file:
        data = os.pread(file.fileno(), min(most_bytes, end - offset), offset)
        parsed = parse_records(data)
        if not parsed.units and parsed.wanted > len(data) and offset + parsed.wanted <= end:
            parsed = parse_records(os.pread(file.fileno(), parsed.wanted, offset))
    behind = offset + parsed.used
    # A record that can't be whole any more, or nothing: this was all.
    over = parsed.damaged or not parsed.units or behind >= end
    return Batch(parsed.units, None if over else behind, over and behind < end)


def last_us(segment: Segment) -> int | None:
    """The time of a segment's last access unit. Raises `OSError`."""
    offset: int | None = segment.start
    found = None
    while offset is not None:
        batch = read(segment, offset, 1 << 20)
        if batch.units:
            found = batch.units[-1].utc_us
        offset = batch.offset
    return found


def free_bytes(folder: Path) -> int:
    """What may still be written to this disk. Raises `OSError`."""
    disk = os.statvfs(folder)
    reserve = min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_SHARE)
    return int(disk.f_bavail * disk.f_frsize - reserve)


class SegmentWriter:
    """The segment that is being written. Every method may raise `OSError`."""

    def __init__(self, path: Path, first: Spooled, position: int) -> None:
        head = encode_header(Header.of(first.run, first.unit.number, first.unit.utc_us))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        try:
            _write_all(self._descriptor, [head])
            os.fdatasync(self._descriptor)
            sync_directory(path.parent)
        except OSError:
            os.close(self._descriptor)
            path.unlink()
            raise
        unit = first.unit
        size = len(head)
        self.segment = Segment(path, first.run, unit.number, unit.utc_us, size, size, position)

    def append(self, items: Iterable[Spooled]) -> int:
        """Write access units and make them durable; the segment's new size.

        After an error the file is as it was before, or what is behind that is torn.
        """
        buffers = [part for item in items for part in encode_record(item.unit)]
        try:
            _write_all(self._descriptor, buffers)
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.segment.size)
            raise
        return self.segment.size + sum(map(len, buffers))

    def close(self) -> None:
        """Nothing more comes."""
        os.close(self._descriptor)


def _write_all(descriptor: int, buffers: list[bytes]) -> None:
    for start in range(0, len(buffers), MOST_BUFFERS):
        waiting = [memoryview(each) for each in buffers[start : start + MOST_BUFFERS]]
        while waiting:
            written = os.writev(descriptor, waiting)
            while waiting and written >= len(waiting[0]):
                written -= len(waiting.pop(0))
            if waiting:
                # A disk that is full takes a part; the next call says so.
                waiting[0] = waiting[0][written:]
