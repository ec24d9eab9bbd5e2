"""`ucam restore`: a back-up becomes a data directory again.

Nothing of what is there is touched before all of the file was read and found whole; then what was
there is put aside, and the new files take their places by one rename each.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import sqlite3
import struct
import tempfile
import time
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

import msgspec

from ucam.base.config import ConfigError, parse
from ucam.base.files import sync_directory
from ucam.base.service import Fault
from ucam.base.units import Listen
from ucam.web.archive import (
    CONFIG,
    KEYS,
    MANIFEST,
    MAX_ARCHIVE_BYTES,
    MAX_ENTRIES,
    STATE,
    ArchiveError,
    Manifest,
    limit_of,
    read_manifest,
)
from ucam.web.config import WebConfig
from ucam.web.invites import INVITES
from ucam.web.keys import KeyStore, give_to_owner
from ucam.web.sessions import LINKS, SESSIONS, Session
from ucam.web.state_sqlite import VERSION

_BLOCK = 1 << 20
# What zipfile raises for bytes that somebody has changed.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, ValueError),
    *(OverflowError, NotImplementedError, RuntimeError),
)
# With the files that SQLite keeps beside its own: an old log beside a new database destroys it.
_PARTS = (STATE, f"{STATE}-wal", f"{STATE}-shm", KEYS, "audit")


def restore(source: Path, config_path: Path, *, overwrite: bool, now_s: float) -> Manifest:
    """Fill the data directory that `config_path` names (itself from the back-up where it isn't
    there). Raises `Fault`, and then nothing was changed.
    """
    try:
        with _opened(source) as archive:
            manifest = read_manifest(_whole(archive, MANIFEST))
            _check_entries(archive, manifest)
            config = _config(archive, config_path)
            _check_idle(config.http.listen)
            folder = config.http.data_dir
            there = [name for name in _PARTS if (folder / name).exists()]
            if there and not overwrite:
                raise Fault(
                    f"{folder} holds {', '.join(there)} already; with --overwrite that is put aside"
                )
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".restore-") as work:
                _extract(archive, manifest, Path(work))
                _check_content(Path(work), now_s)
                if not config_path.exists():
                    _place(Path(work) / CONFIG, config_path)
                _put_aside(folder, there, now_s)
                for name in _PARTS:
                    if (Path(work) / name).exists():
                        _place(Path(work) / name, folder / name)
    except ArchiveError as error:
        raise Fault(f"{source} can't be restored: {error}") from None
    except (OSError, sqlite3.Error) as error:
        raise Fault(f"{source} can't be restored: {error}") from None
    return manifest


def _opened(source: Path) -> zipfile.ZipFile:
    if source.stat().st_size > MAX_ARCHIVE_BYTES:
        raise ArchiveError("it is larger than any back-up")
    try:
        return zipfile.ZipFile(source)
    except _BROKEN:
        raise ArchiveError(
            "it is no back-up that `ucam backup` has written, or is cut off"
        ) from None


def _check_entries(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Exactly what the manifest lists, each once."""
    names = archive.namelist()
    if len(names) > MAX_ENTRIES:
        raise ArchiveError("it has more entries than any back-up")
    for name in names:
        limit_of(name)
    if sorted(names) != sorted([*manifest.files, MANIFEST]):
        raise ArchiveError("its entries are not those that its manifest lists")
    if KEYS not in manifest.files or CONFIG not in manifest.files:
        raise ArchiveError("the keys or the configuration are missing in it")


def _whole(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small entry; never more than its limit, whatever it says of itself."""
    limit = limit_of(name)
    try:
        with archive.open(name) as entry:
            data = entry.read(limit + 1)
    except _BROKEN as error:
        raise ArchiveError(f"{name} in it can't be read: {error}") from None
    if len(data) > limit:
        raise ArchiveError(f"{name} in it is larger than it may be")
    return data


def _config(archive: zipfile.ZipFile, path: Path) -> WebConfig:
    try:
        if path.exists():
            return parse(path.read_text("utf-8"), WebConfig, source=path)
        return parse(_whole(archive, CONFIG).decode("utf-8"), WebConfig, source=path)
    except (ConfigError, UnicodeDecodeError) as error:
        raise Fault(str(error)) from None


def _check_idle(listen: Listen) -> None:
    """A service that runs would go on with what it has, and write over what is restored."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Fault(
                    f"something listens on {listen}: stop ucam web first (systemctl stop ucam-web)"
                ) from None


def _extract(archive: zipfile.ZipFile, manifest: Manifest, work: Path) -> None:
    """Every entry, found to be what the manifest says. The names were checked: none leads out."""
    for name, wanted in manifest.files.items():
        path = work / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        digest, size = hashlib.sha256(), 0
        try:
            with archive.open(name) as entry, path.open("xb") as into:
                path.chmod(0o600)
                while block := entry.read(_BLOCK):
                    size += len(block)
                    if size > min(wanted.bytes, limit_of(name)):
                        raise ArchiveError(f"{name} in it is larger than it says")
                    digest.update(block)
                    into.write(block)
                into.flush()
                os.fsync(into.fileno())
        except ArchiveError:
            raise
        except _BROKEN as error:
            raise ArchiveError(f"{name} in it is damaged: {error}") from None
        if size != wanted.bytes or digest.hexdigest() != wanted.sha256:
            raise ArchiveError(f"{name} in it is not what was backed up")


def _check_content(work: Path, now_s: float) -> None:
    try:
        KeyStore(work, now_s)
    except Fault:
        raise ArchiveError("the keys in it can't be read") from None
    if (work / STATE).exists():
        try:
            with closing(sqlite3.connect(work / STATE, isolation_level=None)) as state:
                _check_state(state)
                _make_fit(state)
        except sqlite3.DatabaseError as error:
            raise ArchiveError(f"the database in it can't be used: {error}") from None


def _check_state(state: sqlite3.Connection) -> None:
    state.execute("PRAGMA trusted_schema=OFF")
    (version,) = state.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise ArchiveError("its database was written by a newer ucam: install that one")
    (found,) = state.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise ArchiveError(f"its database is damaged: {found.splitlines()[-1]}")


def _make_fit(state: sqlite3.Connection) -> None:
    """The world went on since the back-up was made.

    A device that has renewed its token since then holds one that these records don't know; they
    would take it for a stolen one. Without its record a device's token begins a session of its own
    (see `sessions`), and what was revoked before the back-up stays so. Links and codes may have
    been used since.
    """
    tables = {row[0] for row in state.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "records" not in tables:
        return  # of an older version: its devices' sessions are few and short
    state.execute("DELETE FROM records WHERE shelf IN (?, ?)", (LINKS, INVITES))
    rows = state.execute("SELECT key, value FROM records WHERE shelf = ?", (SESSIONS,)).fetchall()
    for key, value in rows:
        with contextlib.suppress(msgspec.DecodeError):
            session = msgspec.json.decode(value, type=Session)
            if session.role in ("device", "storage") and not session.ended:
                state.execute("DELETE FROM records WHERE shelf = ? AND key = ?", (SESSIONS, key))


def _put_aside(folder: Path, there: list[str], now_s: float) -> None:
    if not there:
        return
    aside = folder / time.strftime("before-restore-%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    aside.mkdir(mode=0o700)
    for name in there:
        os.rename(folder / name, aside / name)
    give_to_owner(aside)
    sync_directory(folder)


def _place(path: Path, target: Path) -> None:
    if path.name == CONFIG:
        # It may go to another file system.
        shutil.copyfile(path, target)
        sync_directory(target.parent)
        return
    os.rename(path, target)
    for each in (target, *target.rglob("*")):
        give_to_owner(each)
    sync_directory(target.parent)
