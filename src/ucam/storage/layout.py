"""Where chunks stand below the storage's folder, and what their names say.

    <location>/<device JID>/2026-11-22/05/20261122T053000.123456Z_60.033.mp4   closed
    <location>/<device JID>/2026-11-22/05/20261122T053100.156789Z.part         being written

A name holds start and duration, so that a lost index can be rebuilt from names. The start is also
the chunk's id: two chunks that would start in the same microsecond are told apart by adding one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import DirEntry, scandir
from pathlib import Path

from ucam.base.jid import JID, JIDError

BLOCK = 4096  # files are counted in whole blocks of the disk
INDEX = "index.sqlite"
PROTECTED = "protected.json"
# The index and what stands beside it; also an index that was set aside as damaged.
INDEX_FILES = re.compile(
    r"index\.sqlite(?:-wal|-shm|-journal|\.damaged-\d+)?|protected\.json|\.protected\.json\..{1,20}"
)

# What seals the chunks: of each day, and of what rotation has taken (see `sealing`).
CHAIN = "chain"
CHAIN_GONE = "chain-gone"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6})Z(?:_(\d{1,7})\.(\d{3})\.mp4|\.part)")
_LOCATION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HOUR = re.compile(r"\d\d")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Whose recordings: a device in a location. Both are safe as names of folders."""

    location: str
    jid: str

    def __post_init__(self) -> None:
        if not _LOCATION.fullmatch(self.location):
            raise ValueError(f"{self.location!r} can't be the name of a location's folder")
        if str(JID.parse_bare(self.jid)) != self.jid:
            raise ValueError(f"{self.jid!r} is not written as a bare JID is")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that ucam wrote, by its name. `duration_ms` is None for a `.part`."""

    path: Path
    place: Place
    start_us: int
    duration_ms: int | None
    size: int


def _stamp(start_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=start_us)).strftime("%Y%m%dT%H%M%S.%fZ")


def folder(place: Place, start_us: int) -> Path:
    """The folder of a chunk, relative to the storage's."""
    moment = _EPOCH + timedelta(microseconds=start_us)
    return Path(place.location, place.jid, moment.strftime("%Y-%m-%d"), moment.strftime("%H"))


def part_path(place: Place, start_us: int) -> Path:
    """The path of a chunk while it is written, relative to the storage's folder."""
    return folder(place, start_us) / f"{_stamp(start_us)}.part"


def chunk_path(place: Place, start_us: int, duration_us: int) -> Path:
    """The path of a closed chunk, relative to the storage's folder."""
    milliseconds = rounded_ms(duration_us)
    name = f"{_stamp(start_us)}_{milliseconds // 1000}.{milliseconds % 1000:03}.mp4"
    return folder(place, start_us) / name


def rounded_ms(duration_us: int) -> int:
    """A duration as names hold it."""
    return (duration_us + 500) // 1000


def read_name(name: str) -> tuple[int, int | None] | None:
    """Start in µs and duration in ms (None: a `.part`) of a file's name; None for a foreign one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    start_us = (moment - _EPOCH) // timedelta(microseconds=1)
    return start_us, None if match[2] is None else int(match[2]) * 1000 + int(match[3])


def find_chunk(root: Path, place: Place, start_us: int) -> Found | None:
    """A chunk's file, open or closed, whatever its duration."""
    hour, stamp = root / folder(place, start_us), _stamp(start_us)
    for entry in _entries(hour):
        if entry.name.startswith(stamp):
            named = read_name(entry.name)
            if named is not None and named[0] == start_us:
                size = entry.stat(follow_symlinks=False).st_size
                return Found(Path(entry.path), place, start_us, named[1], size)
    return None


def places(root: Path) -> list[Place]:
    """The devices that have a folder."""
    found = []
    for path in sorted(root.glob("*/*/")):
        try:
            found.append(Place(path.parent.name, path.name))
        except ValueError:
            continue
    return found


def days(root: Path, place: Place) -> list[int]:
    """The days of which a device has a folder: their beginnings in µs."""
    found = []
    for entry in _entries(root / place.location / place.jid):
        if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            try:
                day = datetime.strptime(entry.name, "%Y-%m-%d").replace(tzinfo=UTC)
            except ValueError:
                continue
            found.append((day - _EPOCH) // timedelta(microseconds=1))
    return found


def files_of_day(root: Path, place: Place, day_us: int) -> list[Found]:
    """The chunks' files of one day of a device."""
    day = root / folder(place, day_us).parent
    result = Walk(files=[], folders=0, foreign=[], foreign_bytes=0)
    _walk(root, day, day.relative_to(root).parts, result)
    return result.files


@dataclass(slots=True)
class Walk:
    """What lies below the storage's folder."""

    files: list[Found]
    folders: int  # the root included
    foreign: list[Path]
    foreign_bytes: int
    chain_bytes: int = 0  # of what seals the chunks, in whole blocks


def walk(root: Path) -> Walk:
    """Look at everything below `root`, once. Links are foreign and never followed."""
    result = Walk(files=[], folders=1, foreign=[], foreign_bytes=0)
    _walk(root, root, (), result)
    result.files.sort(key=lambda found: found.start_us)
    return result


def _walk(root: Path, where: Path, parts: tuple[str, ...], result: Walk) -> None:
    for entry in _entries(where):
        if entry.is_dir(follow_symlinks=False):
            result.folders += 1
            _walk(root, Path(entry.path), (*parts, entry.name), result)
            continue
        try:
            size = entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue  # gone meanwhile, as a .part that was closed
        found = _read_path(Path(entry.path), parts, entry, size)
        if found is not None:
            result.files.append(found)
        elif _seals(parts, entry.name):
            result.chain_bytes += -(-size // BLOCK) * BLOCK
        elif parts or not INDEX_FILES.fullmatch(entry.name):
            result.foreign.append(Path(entry.path))
            result.foreign_bytes += size


def _seals(parts: tuple[str, ...], name: str) -> bool:
    return (len(parts), name) in ((3, CHAIN), (2, CHAIN_GONE))


def _entries(where: Path) -> Iterator[DirEntry[str]]:
    try:
        with scandir(where) as entries:
            yield from list(entries)
    except FileNotFoundError:
        return


def _read_path(path: Path, parts: tuple[str, ...], entry: DirEntry[str], size: int) -> Found | None:
    if len(parts) != 4 or not entry.is_file(follow_symlinks=False):
        return None
    location, jid, day, hour = parts
    named = read_name(entry.name)
    if named is None or not _DAY.fullmatch(day) or not _HOUR.fullmatch(hour):
        return None
    try:
        place = Place(location, jid)
    except (ValueError, JIDError):
        return None
    start_us, duration_ms = named
    if folder(place, start_us) != Path(*parts):
        return None
    return Found(path, place, start_us, duration_ms, size)
