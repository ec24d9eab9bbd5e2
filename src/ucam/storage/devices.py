"""The devices of the index: what is kept of each, summed up, and the last that is durable."""

from ucam.storage.layout import Place
from ucam.storage.records import Camera, Chunk, Durable, Totals
from ucam.storage.rotation import blocks
from ucam.storage.sqlite import Connection

DAY_US = 86_400_000_000


class Devices(Connection):
    """One row a device. Totals stand in it, and in memory."""

    def _prepare(self) -> None:
        super()._prepare()
        self._totals: dict[Place, Totals] = {}
        for location, jid, *sums in self._db.execute(
            "SELECT location, jid, chunks, bytes, duration_us, blocks FROM devices"
        ):
            self._totals[Place(location, jid)] = Totals(*sums)

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

    @property
    def closed_blocks(self) -> int:
        """What the closed chunks take on the disk, bytes in whole blocks."""
        return sum(totals.blocks for totals in self._totals.values())

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return sum(totals.chunks for totals in self._totals.values())

    def places(self) -> list[Place]:
        """Every device that was ever recorded."""
        rows = self._db.execute("SELECT location, jid FROM devices ORDER BY location, jid")
        return [Place(*row) for row in rows]

    def days(self, place: Place) -> list[int]:
        """The days of which a device has chunks: their beginnings in µs."""
        rows = self._db.execute(
            "SELECT DISTINCT c.id / ?1 FROM chunks c JOIN devices d ON d.id = c.device"
            " WHERE d.location = ?2 AND d.jid = ?3",
            (DAY_US, place.location, place.jid),
        )
        return [number * DAY_US for (number,) in rows]

    def folders(self) -> int:
        """How many folders the chunks' files stand in, the devices' and locations' included."""
        counts = "SELECT count(*) FROM (SELECT DISTINCT device, id / {} FROM chunks)"
        hours, days = (
            int(self._db.execute(counts.format(length)).fetchone()[0])
            for length in (DAY_US // 24, DAY_US)
        )
        places = self.places()
        return 1 + hours + days + len(places) + len({place.location for place in places})

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

    def set_away(self, place: Place, reason: str | None) -> None:
        """Why nothing of this device is recorded from now on (None: it is)."""
        with self.transaction():
            device = self.device(place)
            self._db.execute("UPDATE devices SET away = ? WHERE id = ?", (reason, device))

    def away(self) -> dict[Place, str]:
        """The same of all devices."""
        rows = self._db.execute("SELECT location, jid, away FROM devices WHERE away IS NOT NULL")
        return {Place(location, jid): reason for location, jid, reason in rows}


def _as_tuple(totals: Totals) -> tuple[int, int, int, int]:
    return totals.chunks, totals.bytes, totals.duration_us, totals.blocks
