"""What the web application keeps in SQLite: login links, sessions, when devices were last seen.

Rows hold no secret: of a login link only its SHA-256, of a token only its id.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ucam.base.jid import JID, JIDError
from ucam.base.service import Fault
from ucam.web.keys import give_to_owner
from ucam.web.members import Known

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE login_links (
    hash BLOB PRIMARY KEY, jid TEXT NOT NULL, expires_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (
    sid TEXT PRIMARY KEY, jid TEXT NOT NULL, role TEXT NOT NULL,
    ends_s REAL,                       -- when even recycling ends; NULL: never (devices)
    current_jti TEXT NOT NULL, current_iat INTEGER NOT NULL, current_exp INTEGER NOT NULL,
    latest_exp INTEGER NOT NULL,       -- of all its tokens: until then the row stays, so that
    ended INTEGER NOT NULL DEFAULT 0,  -- what has ended stays ended
    current_used INTEGER NOT NULL,     -- whether anybody has come with the current token yet
    previous_jti TEXT, rotated_s REAL
) WITHOUT ROWID;
CREATE TABLE devices (
    jid TEXT PRIMARY KEY, name TEXT NOT NULL, last_seen_us INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Store:
    """The database of one data directory. Methods block for about a millisecond (a sync to disk):
    call them in a thread. One lock, so any thread may."""

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "web.sqlite"
        self._lock = threading.Lock()
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=10
            )
            try:
                path.chmod(0o600)
                give_to_owner(path)
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._migrate()
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise Fault(f"the database {path} can't be used: {error}") from None

    def _migrate(self) -> None:
        with self.transaction() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _SCHEMA_VERSION:
                raise sqlite3.DatabaseError("it was written by a newer ucam")
            if version < 1:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a group of statements as one; other threads and processes wait."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the database; the store can't be used afterwards."""
        with self._lock:
            self._db.close()

    def devices(self) -> dict[JID, Known]:
        """What was last known of each device."""
        with self._lock:
            rows = self._db.execute("SELECT jid, name, last_seen_us FROM devices").fetchall()
        known = {}
        for jid, name, last_seen_us in rows:
            try:
                known[JID.parse_bare(jid)] = Known(name, last_seen_us)
            except JIDError:
                continue  # an older version allowed more names
        return known

    def remember_devices(self, known: dict[JID, Known]) -> None:
        """Keep what is known of devices, over what was."""
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO devices VALUES (?, ?, ?) ON CONFLICT (jid) DO UPDATE SET "
                "name = excluded.name, last_seen_us = excluded.last_seen_us",
                [(str(jid), k.name, k.last_seen_us) for jid, k in known.items()],
            )
