"""The index of what is kept: SQLite, one connection.

    sqlite      the connection, its transactions
    devices     a row for each device, with its totals
    chunk_rows  chunks and the gaps between them
    protection  spans that rotation leaves alone
    changes     how much of the picture changed

This is the plain, synchronous thing; `index.Index` gives it its thread.
"""

from collections.abc import Sequence

from ucam.storage import changes, protection, protection_file
from ucam.storage.changes import Change
from ucam.storage.chunk_rows import Chunks
from ucam.storage.layout import PROTECTED, Place
from ucam.storage.protection import Protected
from ucam.storage.sqlite import DamagedIndex, IndexFault

__all__ = ["DamagedIndex", "Database", "IndexFault"]


class Database(Chunks):
    """The index, for use in one thread. Every method is one transaction."""

    def protected(self, place: Place) -> list[Protected]:
        """The spans of a device that rotation leaves alone."""
        return protection.spans(self._db, self.device(place))

    def protected_bytes(self, place: Place | None = None) -> int:
        """Bytes of the closed chunks, of one device or all, that are protected."""
        device = None if place is None else self.device(place)
        return protection.protected_bytes(self._db, device)

    def protect(self, place: Place, span: Protected, limit: int) -> None:
        """Protect a span. Raises `TooMuch` or `OSError`, and then nothing is changed."""
        with self.transaction():
            protection.protect(self._db, self.device(place), span)
            protection.check_limits(self._db, limit)
            protection_file.write(self.path.parent, self._db)

    def release(self, place: Place, from_us: int, to_us: int) -> bool:
        """End the protection of a stretch; False when there was none. Raises `OSError`."""
        with self.transaction():
            found = protection.release(self._db, self.device(place), from_us, to_us)
            if found:
                protection_file.write(self.path.parent, self._db)
        self._rotate_from = 0
        return found

    def restore_protected(self) -> int:
        """Protect what the file beside a lost index says; returns how many spans. Raises `OSError`
        and `ValueError`.
        """
        spans = protection_file.read(self.path.parent)
        with self.transaction():
            for place, span in spans:
                protection.protect(self._db, self.device(place), span)
        return len(spans)

    def keep_protected(self) -> None:
        """Let the file say what the index says, if it doesn't. Raises `OSError`."""
        if not protection_file.agrees(self.path.parent, self._db):
            protection_file.write(self.path.parent, self._db)

    def note_changes(self, place: Place, seen: Sequence[Change]) -> None:
        """Keep how much of the picture changed."""
        with self.transaction():
            changes.note(self._db, self.device(place), seen)

    def changes(self, place: Place, from_us: int, to_us: int) -> list[Change]:
        """What was seen of that in [from, to)."""
        return changes.between(self._db, self.device(place), from_us, to_us)

    def fact(self, name: str) -> int | None:
        """A number that was noted with `note`."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def note(self, name: str, value: int) -> None:
        """Keep a number."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def problems(self) -> list[str]:
        """What SQLite itself finds wrong."""
        rows = [row[0] for row in self._db.execute("PRAGMA integrity_check(20)")]
        rows += [
            f"a row of {row[0]} refers to a {row[2]} that isn't there"
            for row in self._db.execute("PRAGMA foreign_key_check")
        ]
        rows += protection.problems(self._db)
        if not protection_file.agrees(self.path.parent, self._db):
            rows.append(f"{PROTECTED} doesn't say which spans are protected: restart the storage")
        return [row for row in rows if row != "ok"]
