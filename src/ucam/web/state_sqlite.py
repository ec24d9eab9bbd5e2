"""The state of a web application that runs as one process: SQLite in its data directory.

Limits are counted in memory: a restart forgives, and a mail more is no harm.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from ucam.base.service import Fault
from ucam.web.keys import give_to_owner
from ucam.web.limits import Windows
from ucam.web.state import Leave, Put, Rule, StateAway, Turn

T = TypeVar("T")
VERSION = 2
_SCHEMA = (
    """CREATE TABLE records (
        shelf TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, until_s REAL, owner TEXT,
        PRIMARY KEY (shelf, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX records_of_owner ON records (shelf, owner) WHERE owner IS NOT NULL",
    "CREATE INDEX records_by_end ON records (until_s) WHERE until_s IS NOT NULL",
)
_LIVES = "shelf = ? AND key = ? AND (until_s IS NULL OR until_s > ?)"


class SqliteState:
    """The database of one data directory. It has a thread of its own, where a change waits for the
    disk (about a millisecond); another process that uses the file meanwhile waits too."""

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "web.sqlite"
        self._thread = ThreadPoolExecutor(1, "state")
        self._windows = Windows()
        # Greater than in the process before this one, whose numbers may live on in a log.
        self._arrived = time.time_ns() // 1000
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
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise sqlite3.DatabaseError(
                    "it was written by a newer ucam: install that one again, or restore a back-up"
                )
            if version < VERSION:
                for statement in _SCHEMA:
                    self._db.execute(statement)
                if version == 1:
                    self._from_version_1()
                self._db.execute(f"PRAGMA user_version={VERSION}")

    def _from_version_1(self) -> None:
        """Sessions and devices had tables of their own; links of ten minutes aren't worth it."""
        columns = (
            "jid, role, ends_s, current_jti, current_iat, current_exp, latest_exp, ended, "
            "current_used, previous_jti, rotated_s"
        )
        names = columns.split(", ")
        query = f"SELECT sid, {columns} FROM sessions"  # noqa: S608 - a constant
        for sid, *values in self._db.execute(query).fetchall():
            row = dict(zip(names, values, strict=True))
            row["ended"], row["current_used"] = bool(row["ended"]), bool(row["current_used"])
            put = Put(msgspec.json.encode(row), row["latest_exp"], "")
            self._write("sessions", sid, put)
        for jid, name, seen_us in self._db.execute("SELECT * FROM devices").fetchall():
            value = msgspec.json.encode({"name": name, "last_seen_us": seen_us})
            self._write("devices", jid, Put(value, None, ""))
        for table in ("login_links", "sessions", "devices"):
            self._db.execute(f"DROP TABLE {table}")

    # Operations

    async def get(self, shelf: str, key: str, now_s: float) -> bytes | None:
        """See `State`."""
        return await self._run(lambda: self._read(shelf, key, now_s))

    async def put(self, shelf: str, key: str, put: Put, now_s: float) -> None:
        """See `State`."""
        await self.change(shelf, key, lambda _old: (put, None), now_s)

    async def take(self, shelf: str, key: str, now_s: float) -> bytes | None:
        """See `State`."""
        return await self.change(shelf, key, lambda old: (Leave.DROP, old), now_s)

    async def change(self, shelf: str, key: str, rule: Rule[T], now_s: float) -> T:
        """See `State`."""

        def change() -> T:
            with self._transaction():
                decision, answer = rule(self._read(shelf, key, now_s))
                if isinstance(decision, Put):
                    self._db.execute("DELETE FROM records WHERE until_s <= ?", (now_s,))
                    self._write(shelf, key, decision)
                elif decision is Leave.DROP:
                    self._db.execute(
                        "DELETE FROM records WHERE shelf = ? AND key = ?", (shelf, key)
                    )
            return answer

        return await self._run(change)

    async def owned(self, shelf: str, owner: str, now_s: float) -> dict[str, bytes]:
        """See `State`."""
        query = (
            "SELECT key, value FROM records WHERE shelf = ? AND owner = ? "
            "AND (until_s IS NULL OR until_s > ?)"
        )
        values = (shelf, owner, now_s)
        return await self._run(lambda: dict(self._db.execute(query, values).fetchall()))

    async def allow(self, turns: Sequence[Turn], now_s: float) -> bool:
        """See `State`."""
        return self._windows.take(turns, now_s)

    async def arrive(self) -> int:
        """See `State`."""
        self._arrived += 1
        return self._arrived

    async def check(self) -> None:
        """See `State`: a file doesn't go away."""

    async def close(self) -> None:
        """See `State`."""
        await self._run(self._db.close)
        self._thread.shutdown()

    # Inside, in the thread

    async def _run(self, function: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except sqlite3.OperationalError as error:
            # A full disk, a lock that another process holds: both pass.
            raise StateAway(f"the database can't be used just now: {error}") from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _read(self, shelf: str, key: str, now_s: float) -> bytes | None:
        row = self._db.execute(
            f"SELECT value FROM records WHERE {_LIVES}",  # noqa: S608 - a constant
            (shelf, key, now_s),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def _write(self, shelf: str, key: str, put: Put) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)",
            (shelf, key, put.value, put.until_s, put.owner),
        )
