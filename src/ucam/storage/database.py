"""The index of what is kept: SQLite, one connection.

    WAL, synchronous=FULL: a committed row survives a power cut (NORMAL lost all of them).
    The WAL is bounded: nobody else reads, so each checkpoint reaches its end.

This is the plain, synchronous thing; `index.Index` gives it its thread.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ucam.storage import protection
from ucam.storage.layout import Place
from ucam.storage.protection import Protected, TooMuch
from ucam.storage.records import Camera, Chunk, Durable, Gap, Totals
from ucam.storage.rotation import Candidate, blocks
from ucam.storage.schema import SCHEMA_VERSION, upgrade

WAL_PAGES = 64  # checkpoint at 64 pages of 4 KiB
# What the folder may hold for the index beside index.sqlite itself: WAL, its shared memory file
# (32 KiB for so short a WAL), and what the next transaction may add.
INDEX_MARGIN = 1_000_000

_CHUNK_COLUMNS = (
    "c.id, d.location, d.jid, c.duration_us, c.bytes, r.codecs, r.width, r.height,"
    " r.run, c.first_number, c.last_number, c.activity"
)
_CHUNK_TABLES = "chunks c JOIN devices d ON d.id = c.device JOIN runs r ON r.id = c.run"


class IndexFault(Exception):  # noqa: N818 - told to a person
    """An index that can't be used: on a disk that refuses, or written by a newer ucam."""


class DamagedIndex(IndexFault):
    """An index in which SQLite finds no sense; it can be made anew from the files."""


@dataclass(slots=True)
class Database:
    """The index, for use in one thread. Every method is one transaction."""

    path: Path
    _db: sqlite3.Connection = field(init=False)
    _totals: dict[Place, Totals] = field(init=False, default_factory=dict)
    # Every chunk before this id is protected or leaving: rotation need not look at it.
    _rotate_from: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None)
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
        for location, jid, *sums in self._db.execute(
            "SELECT location, jid, chunks, bytes, duration_us, blocks FROM devices"
        ):
            self._totals[Place(location, jid)] = Totals(*sums)

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

    # What is written

    def add_chunk(self, chunk: Chunk, durable: Durable | None, gap: Gap | None = None) -> None:
        """Insert a closed chunk, the device's last durable unit and a gap in one transaction."""
        with self.transaction():
            device = self.device(chunk.place)
            run = self._run(device, chunk)
            self._db.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
                (
                    chunk.id,
                    device,
                    run,
                    chunk.duration_us,
                    chunk.bytes,
                    chunk.first_number,
                    chunk.last_number,
                    chunk.activity,
                ),
            )
            self._db.execute("DELETE FROM opened WHERE chunk = ?", (chunk.id,))
            if durable is not None:
                self._db.execute(
                    "UPDATE devices SET run = ?, number = ?, utc_us = ?, end_us = ? WHERE id = ?",
                    (durable.run, durable.number, durable.utc_us, chunk.end_us, device),
                )
            if gap is not None:
                self._insert_gap(device, gap)
            self._count(device, chunk, 1)
        self._total(chunk, 1)
        self._rotate_from = min(self._rotate_from, chunk.id)

    def _count(self, device: int, chunk: Chunk, sign: int) -> None:
        self._db.execute(
            "UPDATE devices SET chunks = chunks + ?, bytes = bytes + ?,"
            " duration_us = duration_us + ?, blocks = blocks + ? WHERE id = ?",
            (
                sign,
                sign * chunk.bytes,
                sign * chunk.duration_us,
                sign * blocks(chunk.bytes),
                device,
            ),
        )

    def _total(self, chunk: Chunk, sign: int) -> None:
        """After the transaction: what is in memory must not know more than the disk."""
        totals = self._totals.setdefault(chunk.place, Totals())
        totals.chunks += sign
        totals.bytes += sign * chunk.bytes
        totals.duration_us += sign * chunk.duration_us
        totals.blocks += sign * blocks(chunk.bytes)

    def opened(self, place: Place, chunk: int) -> None:
        """A chunk's file is about to be created: a start after a power cut looks for it."""
        self._db.execute(
            "INSERT OR REPLACE INTO opened VALUES (?, ?, ?)", (chunk, place.location, place.jid)
        )

    def not_opened(self, chunk: int) -> None:
        """Nothing is left of a chunk that was begun."""
        self._db.execute("DELETE FROM opened WHERE chunk = ?", (chunk,))

    def begun(self) -> list[tuple[Place, int]]:
        """The chunks that were begun and have no row."""
        rows = self._db.execute("SELECT location, jid, chunk FROM opened ORDER BY chunk")
        return [(Place(location, jid), chunk) for location, jid, chunk in rows]

    def set_away(self, place: Place, reason: str | None) -> None:
        """Why nothing of this device is recorded from now on (None: it is)."""
        with self.transaction():
            device = self.device(place)
            self._db.execute("UPDATE devices SET away = ? WHERE id = ?", (reason, device))

    def away(self) -> dict[Place, str]:
        """The same of all devices."""
        rows = self._db.execute("SELECT location, jid, away FROM devices WHERE away IS NOT NULL")
        return {Place(location, jid): reason for location, jid, reason in rows}

    def fact(self, name: str) -> int | None:
        """A number that was noted with `note`."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def note(self, name: str, value: int) -> None:
        """Keep a number."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @property
    def closed_blocks(self) -> int:
        """What the closed chunks take on the disk, bytes in whole blocks."""
        return sum(totals.blocks for totals in self._totals.values())

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return sum(totals.chunks for totals in self._totals.values())

    def days(self, place: Place) -> list[int]:
        """The days of which a device has chunks: their beginnings in µs."""
        day_us = 86_400_000_000
        rows = self._db.execute(
            "SELECT DISTINCT c.id / ?1 FROM chunks c JOIN devices d ON d.id = c.device"
            " WHERE d.location = ?2 AND d.jid = ?3",
            (day_us, place.location, place.jid),
        )
        return [number * day_us for (number,) in rows]

    def folders(self) -> int:
        """How many folders the chunks' files stand in, the devices' and locations' included."""
        counts = "SELECT count(*) FROM (SELECT DISTINCT device, id / {} FROM chunks)"
        hours, days = (
            int(self._db.execute(counts.format(length)).fetchone()[0])
            for length in (3_600_000_000, 86_400_000_000)
        )
        places = self.places()
        return 1 + hours + days + len(places) + len({place.location for place in places})

    def device(self, place: Place) -> int:
        """A device's number in the tables, made if need be."""
        self._db.execute(
            "INSERT INTO devices (location, jid) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (place.location, place.jid),
        )
        (device,) = self._db.execute(
            "SELECT id FROM devices WHERE location = ? AND jid = ?", (place.location, place.jid)
        ).fetchone()
        return int(device)

    def _run(self, device: int, chunk: Chunk) -> int:
        key = (device, chunk.run, chunk.codecs, chunk.width, chunk.height)
        self._db.execute(
            "INSERT INTO runs (device, run, codecs, width, height) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            key,
        )
        (run,) = self._db.execute(
            "SELECT id FROM runs WHERE device = ? AND run = ? AND codecs = ? AND width = ?"
            " AND height = ?",
            key,
        ).fetchone()
        return int(run)

    def add_gap(self, place: Place, gap: Gap) -> None:
        """Tell a gap; one that starts where another starts takes its place."""
        with self.transaction():
            self._insert_gap(self.device(place), gap)

    def _insert_gap(self, device: int, gap: Gap) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?)",
            (device, gap.from_us, gap.to_us, gap.reason),
        )

    def mark_leaving(self, ids: Iterable[int]) -> None:
        """Note that the files of these chunks are about to be deleted."""
        with self.transaction():
            self._db.executemany(
                "UPDATE chunks SET leaving = 1 WHERE id = ?", [(chunk,) for chunk in ids]
            )

    def remove(self, ids: Iterable[int]) -> None:
        """Take the rows of chunks out whose files are gone; gaps before a device's first go too."""
        removed = [chunk for chunk in (self._any_chunk(id_) for id_ in ids) if chunk is not None]
        with self.transaction():
            self._db.executemany("DELETE FROM chunks WHERE id = ?", [(c.id,) for c in removed])
            for chunk in removed:
                self._count(self.device(chunk.place), chunk, -1)
            for place in {chunk.place for chunk in removed}:
                device = self.device(place)
                self._db.execute(
                    "DELETE FROM gaps WHERE device = ? AND max(from_us, to_us) <= coalesce("
                    "(SELECT min(id) FROM chunks WHERE device = ?), 0)",
                    (device, device),
                )
        for chunk in removed:
            self._total(chunk, -1)

    def forget_unused_runs(self) -> None:
        """Take out runs of which no chunk is left (at start-up)."""
        with self.transaction():
            self._db.execute("DELETE FROM runs WHERE id NOT IN (SELECT DISTINCT run FROM chunks)")

    # What is read

    def _chunks(self, where: str, *values: object) -> list[Chunk]:
        query = f"SELECT {_CHUNK_COLUMNS} FROM {_CHUNK_TABLES} WHERE {where}"  # noqa: S608 - constants
        return [_chunk(row) for row in self._db.execute(query, values)]

    def _any_chunk(self, chunk: int) -> Chunk | None:
        return next(iter(self._chunks("c.id = ?", chunk)), None)

    def chunk(self, chunk: int) -> Chunk | None:
        """One chunk that isn't leaving."""
        return next(iter(self._chunks("c.id = ? AND NOT c.leaving", chunk)), None)

    def chunks(self, place: Place, from_us: int, to_us: int, limit: int) -> list[Chunk]:
        """The first `limit` chunks of a device that touch [from, to), oldest first."""
        row = self._db.execute(
            "SELECT id FROM devices WHERE location = ? AND jid = ?", (place.location, place.jid)
        ).fetchone()
        if row is None:
            return []
        # A chunk that began before `from` may reach into it: start with the one before.
        return [
            chunk
            for chunk in self._chunks(
                "c.device = ?1 AND NOT c.leaving AND c.id < ?3 AND c.id >= coalesce("
                "(SELECT max(id) FROM chunks WHERE device = ?1 AND id <= ?2), ?2)"
                " ORDER BY c.id LIMIT ?4",
                row[0],
                from_us,
                to_us,
                limit + 1,
            )
            if chunk.end_us > from_us
        ][:limit]

    def all_chunks(self) -> Iterator[Chunk]:
        """Every row, leaving or not, oldest first."""
        after = -1
        while batch := self._chunks("c.id > ? ORDER BY c.id LIMIT 1000", after):
            yield from batch
            after = batch[-1].id

    def leaving(self) -> list[Chunk]:
        """The chunks whose deletion was begun."""
        return self._chunks("c.leaving ORDER BY c.id")

    def oldest(self, limit: int) -> list[Candidate]:
        """The oldest chunks of all devices that are not protected."""
        rows = self._db.execute(protection.FREE, (self._rotate_from, limit))
        found = [Candidate(*row) for row in rows]
        if found:
            self._rotate_from = found[0].id
        return found

    def protected(self, place: Place) -> list[Protected]:
        """The spans of a device that rotation leaves alone."""
        return protection.spans(self._db, self.device(place))

    def protected_bytes(self, place: Place | None = None) -> int:
        """Bytes of the closed chunks, of one device or all, that are protected."""
        device = None if place is None else self.device(place)
        return protection.protected_bytes(self._db, device)

    def protect(self, place: Place, span: Protected, limit: int) -> None:
        """Protect a span. Raises `TooMuch`, and then nothing is changed."""
        with self.transaction():
            protection.protect(self._db, self.device(place), span)
            size = protection.protected_bytes(self._db)
            if size > limit:
                raise TooMuch(size, limit)

    def release(self, place: Place, from_us: int, to_us: int) -> bool:
        """End the protection of a stretch; False when there was none."""
        with self.transaction():
            found = protection.release(self._db, self.device(place), from_us, to_us)
        self._rotate_from = 0
        return found

    def newest_before(self, place: Place, start_us: int) -> Chunk | None:
        """The last chunk of a device that starts before `start_us`."""
        chunks = self._chunks(
            "d.location = ? AND d.jid = ? AND c.id < ? ORDER BY c.id DESC LIMIT 1",
            place.location,
            place.jid,
            start_us,
        )
        return chunks[0] if chunks else None

    def gaps(self, place: Place, from_us: int, to_us: int) -> list[Gap]:
        """The gaps of a device that touch [from, to), steps back of its clock included."""
        rows = self._db.execute(
            "SELECT from_us, to_us, reason FROM gaps g JOIN devices d ON d.id = g.device"
            " WHERE location = ? AND jid = ? AND min(from_us, to_us) < ?"
            " AND max(from_us, to_us) > ? ORDER BY from_us",
            (place.location, place.jid, to_us, from_us),
        )
        return [Gap(*row) for row in rows]

    def durable(self, place: Place) -> Durable | None:
        """The last durable access unit of a device."""
        row = self._db.execute(
            "SELECT run, number, utc_us FROM devices WHERE location = ? AND jid = ?",
            (place.location, place.jid),
        ).fetchone()
        return None if row is None or row[0] is None else Durable(*row)

    def end_us(self, place: Place) -> int | None:
        """Where the newest recording of a device ended."""
        row = self._db.execute(
            "SELECT end_us FROM devices WHERE location = ? AND jid = ?",
            (place.location, place.jid),
        ).fetchone()
        return None if row is None else row[0]

    def has(self, chunk: int) -> bool:
        """Whether this id is taken."""
        return (
            self._db.execute("SELECT 1 FROM chunks WHERE id = ?", (chunk,)).fetchone() is not None
        )

    def cameras(self) -> list[Camera]:
        """Every device that has recordings."""
        found = []
        for place, totals in sorted(self._totals.items()):
            row = self._db.execute(
                "SELECT min(c.id), d.end_us FROM chunks c JOIN devices d ON d.id = c.device"
                " WHERE d.location = ? AND d.jid = ?",
                (place.location, place.jid),
            ).fetchone()
            if row[0] is not None:
                found.append(Camera(place, row[0], row[1] or row[0], Totals(*_as_tuple(totals))))
        return found

    def places(self) -> list[Place]:
        """Every device that was ever recorded."""
        rows = self._db.execute("SELECT location, jid FROM devices ORDER BY location, jid")
        return [Place(*row) for row in rows]

    def footprint(self) -> int:
        """Bytes the folder may hold for the index until after the next transaction."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        return int(pages) * 4096 + INDEX_MARGIN

    def problems(self) -> list[str]:
        """What SQLite itself finds wrong."""
        rows = [row[0] for row in self._db.execute("PRAGMA integrity_check(20)")]
        rows += [
            f"a row of {row[0]} refers to a {row[2]} that isn't there"
            for row in self._db.execute("PRAGMA foreign_key_check")
        ]
        rows += protection.problems(self._db)
        return [row for row in rows if row != "ok"]


def _as_tuple(totals: Totals) -> tuple[int, int, int, int]:
    return totals.chunks, totals.bytes, totals.duration_us, totals.blocks


def _chunk(row: tuple[Any, ...]) -> Chunk:
    return Chunk(row[0], Place(row[1], row[2]), *row[3:])
