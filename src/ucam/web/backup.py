"""`ucam backup`: the web application's state, keys, log and configuration in one file.

It may run while the service runs: SQLite's backup API copies one moment of the database, and the
keys are one file that is only ever replaced.
"""

import hashlib
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import msgspec

from ucam import __version__
from ucam.base.files import sync_directory
from ucam.base.service import Fault
from ucam.base.times import format_utc
from ucam.web.archive import CONFIG, FORMAT, KEYS, MANIFEST, STATE, Entry, Manifest, limit_of
from ucam.web.config import WebConfig

_BLOCK = 1 << 20


def back_up(config: WebConfig, config_path: Path, target: Path, now_s: float) -> Manifest:
    """Write `target`, which must not be there, readable by its owner alone; raises `Fault`."""
    if target.exists():
        raise Fault(f"{target} is there already, and is never overwritten")
    folder = config.http.data_dir
    if not (folder / KEYS).exists():
        raise Fault(f"there is nothing to back up: {folder} holds no keys; has ucam web run?")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".ucam-backup-") as work:
            # The folder is its owner's alone (0700): the file is never more open than it ends.
            part = Path(work) / "part"
            manifest = _write(config, config_path, part, now_s)
            part.chmod(0o600)
            os.link(part, target)
        sync_directory(target.parent)
    except FileExistsError:
        raise Fault(f"{target} is there already, and is never overwritten") from None
    except (OSError, sqlite3.Error) as error:
        raise Fault(f"{target} can't be written: {error}") from None
    return manifest


def _write(config: WebConfig, config_path: Path, part: Path, now_s: float) -> Manifest:
    files: dict[str, Entry] = {}
    with part.open("xb") as raw:
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in _sources(config, config_path, part.parent):
                with path.open("rb") as source:
                    files[name] = _add(archive, name, source)
            manifest = Manifest(
                format=FORMAT,
                ucam=__version__,
                made=format_utc(round(now_s * 1e6)),
                public_url=str(config.http.public_url),
                files=files,
            )
            archive.writestr(MANIFEST, msgspec.json.encode(manifest))
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _sources(config: WebConfig, config_path: Path, work: Path) -> Iterator[tuple[str, Path]]:
    folder = config.http.data_dir
    yield CONFIG, config_path
    if (folder / STATE).exists():
        copy = work / STATE
        with (
            closing(sqlite3.connect(folder / STATE, timeout=10)) as state,
            closing(sqlite3.connect(copy)) as into,
        ):
            state.backup(into)
            # One file is all there is: no reader needs a log beside it.
            into.execute("PRAGMA journal_mode=DELETE")
        yield STATE, copy
    yield KEYS, folder / KEYS
    for day in sorted((folder / "audit").glob("*.jsonl")):
        yield f"audit/{day.name}", day


def _add(archive: zipfile.ZipFile, name: str, source: IO[bytes]) -> Entry:
    """As much of `source` as there is now: today's log grows."""
    size = left = os.fstat(source.fileno()).st_size
    if size > limit_of(name):
        raise OSError(f"{name} has {size} bytes, more than any restore would take")
    digest = hashlib.sha256()
    with archive.open(name, "w", force_zip64=True) as into:
        while left and (block := source.read(min(left, _BLOCK))):
            digest.update(block)
            into.write(block)
            left -= len(block)
    if left:
        raise OSError(f"{name} became shorter while it was read; try again")
    return Entry(size, digest.hexdigest())
