"""How much of the picture changed, seen when thumbnails were made: kept in the index, bounded.

One value for ten seconds of a device, the most that was seen in them. Two thumbnails tell what
moved far better than coded bytes do, but they cost a decoded keyframe each, so that only what
somebody has looked at is known.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

SLOT_US = 10_000_000
MOST_ROWS = 200_000  # about 4 MB, three camera-weeks; the oldest go
# Beside the numbered steps of the schema: an older ucam ignores it.
TABLE = """
CREATE TABLE IF NOT EXISTS changes (
    device INTEGER NOT NULL REFERENCES devices,
    slot INTEGER NOT NULL,                     -- of ten seconds since 1970
    value INTEGER NOT NULL,                    -- 0 to 255
    PRIMARY KEY (slot, device)
) WITHOUT ROWID
"""


class Change(NamedTuple):
    """`value`, 0 to 1: how much of the picture was another one at `to_us` than at `from_us`."""

    from_us: int
    to_us: int
    value: float


def note(db: sqlite3.Connection, device: int, changes: Iterable[Change]) -> None:
    """Keep what was seen. Inside a transaction."""
    rows = [
        (device, slot, round(255 * change.value))
        for change in changes
        for slot in range(change.from_us // SLOT_US, change.to_us // SLOT_US + 1)
    ]
    db.executemany(
        "INSERT INTO changes VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET value = max(value, excluded.value)",
        rows,
    )
    (count,) = db.execute("SELECT count(*) FROM changes").fetchone()
    if count > MOST_ROWS:
        db.execute(
            "DELETE FROM changes WHERE (slot, device) IN"
            " (SELECT slot, device FROM changes ORDER BY slot LIMIT ?)",
            (count - MOST_ROWS,),
        )


def between(db: sqlite3.Connection, device: int, from_us: int, to_us: int) -> list[Change]:
    """What was seen of a device in [from, to), oldest first."""
    rows = db.execute(
        "SELECT slot, value FROM changes WHERE device = ? AND slot >= ? AND slot < ? ORDER BY slot",
        (device, from_us // SLOT_US, -(-to_us // SLOT_US)),
    )
    return [Change(slot * SLOT_US, (slot + 1) * SLOT_US, value / 255) for slot, value in rows]
