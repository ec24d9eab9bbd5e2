"""The connection of the index: opened, upgraded, and its transactions.

WAL, synchronous=FULL: a committed row survives a power cut (NORMAL lost all of them).
The WAL is bounded: nobody else reads, so each checkpoint reaches its end.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ucam.storage import changes, protection
from ucam.storage.schema import SCHEMA_VERSION, upgrade

WAL_PAGES = 64  # checkpoint at 64 pages of 4 KiB
# What the folder may hold for the index beside index.sqlite itself: WAL, its shared memory file
# (32 KiB for so short a WAL), protected spans in a file, and what the next transaction may add.
INDEX_MARGIN = 1_000_000


class IndexFault(Exception):  # noqa: N818 - told to a person
    """An index that can't be used: on a disk that refuses, or written by a newer ucam."""


class DamagedIndex(IndexFault):
    """An index in which SQLite finds no sense; it can be made anew from the files."""


class Connection:
    """SQLite as the index uses it, in one thread."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises `IndexFault`."""
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise IndexFault(f"{path}: can't be opened: {error}") from error
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._db.close()
            # A disk that refuses for a moment must not cost the index.
            damaged = error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
            kind = DamagedIndex if damaged else IndexFault
            raise kind(f"{self.path}: not usable as an index: {error}") from error
        except IndexFault:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA foreign_keys=ON")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise IndexFault(
                f"{self.path} was written by a newer ucam (its version is {version}, this ucam"
                f" knows {SCHEMA_VERSION}): install that one again, or move the index away and it"
                " is made anew from the files"
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        self._db.execute(f"PRAGMA journal_size_limit={WAL_PAGES * 4096}")
        if version < SCHEMA_VERSION:
            with self.transaction():
                upgrade(self._db, version)
        self._db.execute(protection.TABLE)
        self._db.execute(changes.TABLE)

    @property
    def connection(self) -> sqlite3.Connection:
        """For the modules that keep tables of their own in the index."""
        return self._db

    def close(self) -> None:
        """Checkpoint and close; index.sqlite alone is left."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; inside another one, a part of that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # After a full disk or an I/O error SQLite has rolled back by itself.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def footprint(self) -> int:
        """Bytes the folder may hold for the index until after the next transaction."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        return int(pages) * 4096 + INDEX_MARGIN
