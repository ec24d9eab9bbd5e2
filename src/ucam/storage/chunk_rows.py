"""The chunks of the index: closed ones, those that leave, those that were begun."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ucam.storage import protection
from ucam.storage.devices import Devices
from ucam.storage.layout import Place
from ucam.storage.records import Chunk, Durable, Gap
from ucam.storage.rotation import Candidate

_CHUNK_COLUMNS = (
    "c.id, d.location, d.jid, c.duration_us, c.bytes, r.codecs, r.width, r.height,"
    " r.run, c.first_number, c.last_number, c.activity"
)
_CHUNK_TABLES = "chunks c JOIN devices d ON d.id = c.device JOIN runs r ON r.id = c.run"


class Chunks(Devices):
    """One row a chunk."""

    def __init__(self, path: Path) -> None:
        """As `Connection`."""
        super().__init__(path)
        # Every chunk before this id is protected or leaving: rotation need not look at it.
        self._rotate_from = 0

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

    def between(self, place: Place, from_us: int, to_us: int) -> list[Chunk]:
        """The chunks of a device that begin in [from, to), leaving or not, oldest first."""
        return self._chunks(
            "c.device = (SELECT id FROM devices WHERE location = ? AND jid = ?)"
            " AND c.id >= ? AND c.id < ? ORDER BY c.id",
            *(place.location, place.jid, from_us, to_us),
        )

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

    def newest_before(self, place: Place, start_us: int) -> Chunk | None:
        """The last chunk of a device that starts before `start_us`."""
        chunks = self._chunks(
            "d.location = ? AND d.jid = ? AND c.id < ? ORDER BY c.id DESC LIMIT 1",
            place.location,
            place.jid,
            start_us,
        )
        return chunks[0] if chunks else None

    def has(self, chunk: int) -> bool:
        """Whether this id is taken."""
        return (
            self._db.execute("SELECT 1 FROM chunks WHERE id = ?", (chunk,)).fetchone() is not None
        )

    def add_gap(self, place: Place, gap: Gap) -> None:
        """Tell a gap; one that starts where another starts takes its place."""
        with self.transaction():
            self._insert_gap(self.device(place), gap)

    def _insert_gap(self, device: int, gap: Gap) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?)",
            (device, gap.from_us, gap.to_us, gap.reason),
        )

    def gaps(self, place: Place, from_us: int, to_us: int) -> list[Gap]:
        """The gaps of a device that touch [from, to), steps back of its clock included."""
        rows = self._db.execute(
            "SELECT from_us, to_us, reason FROM gaps g JOIN devices d ON d.id = g.device"
            " WHERE location = ? AND jid = ? AND min(from_us, to_us) < ?"
            " AND max(from_us, to_us) > ? ORDER BY from_us",
            (place.location, place.jid, to_us, from_us),
        )
        return [Gap(*row) for row in rows]


def _chunk(row: tuple[Any, ...]) -> Chunk:
    return Chunk(row[0], Place(row[1], row[2]), *row[3:])
