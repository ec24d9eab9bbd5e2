"""Spans that rotation leaves alone, because somebody wants to keep what is in them.

They stand in the index, disjoint for each device, and in a small file beside it, for the day on
which the index is lost (`protection_file`). A chunk is protected when it touches one: whole,
because a part of a chunk can't be kept. All of them together may take half of what may be kept at
all, so that recording goes on.
"""

import sqlite3
from dataclasses import dataclass

SHARE = 2  # one part in so many may be protected
MOST_SPANS = 1000  # of all devices: their file stays small

# Beside the numbered steps of the schema: an older ucam ignores it, and deletes as ever.
TABLE = """
CREATE TABLE IF NOT EXISTS protected (
    device INTEGER NOT NULL REFERENCES devices,
    from_us INTEGER NOT NULL, to_us INTEGER NOT NULL,
    who TEXT NOT NULL,                         -- whose wish it was
    since_us INTEGER NOT NULL,
    PRIMARY KEY (device, from_us)
) WITHOUT ROWID
"""
# The oldest chunks from an id on that rotation may take: id and size.
FREE = (
    "SELECT id, bytes FROM chunks c WHERE id >= ? AND NOT leaving AND NOT EXISTS"
    " (SELECT 1 FROM protected p WHERE p.device = c.device"
    " AND p.from_us < c.id + c.duration_us AND p.to_us > c.id) ORDER BY id LIMIT ?"
)


class TooMuch(Exception):  # noqa: N818 - a limit, told to who asked
    """More would be protected than may be."""


@dataclass(frozen=True, slots=True)
class Protected:
    """One span, µs since 1970. `who` asked for it, at `since_us`."""

    from_us: int
    to_us: int
    who: str
    since_us: int


def spans(db: sqlite3.Connection, device: int) -> list[Protected]:
    """A device's spans, oldest first."""
    rows = db.execute(
        "SELECT from_us, to_us, who, since_us FROM protected WHERE device = ? ORDER BY from_us",
        (device,),
    )
    return [Protected(*row) for row in rows]


def protect(db: sqlite3.Connection, device: int, wanted: Protected) -> None:
    """Add a span; those it touches become one with it. Inside a transaction."""
    touched = [
        span
        for span in spans(db, device)
        if span.from_us <= wanted.to_us and span.to_us >= wanted.from_us
    ]
    begin = min([wanted.from_us, *(span.from_us for span in touched)])
    end = max([wanted.to_us, *(span.to_us for span in touched)])
    _forget(db, device, touched)
    _insert(db, device, Protected(begin, end, wanted.who, wanted.since_us))


def check_limits(db: sqlite3.Connection, most_bytes: int) -> None:
    """Raises `TooMuch`. Inside the transaction that protects."""
    size = protected_bytes(db)
    if size > most_bytes:
        raise TooMuch(
            f"{size / 1e6:.0f} MB would be protected, and {most_bytes / 1e6:.0f} MB is the most:"
            " the rest is for new recordings"
        )
    (count,) = db.execute("SELECT count(*) FROM protected").fetchone()
    if count > MOST_SPANS:
        raise TooMuch(f"{MOST_SPANS} spans are protected already: release some first")


def release(db: sqlite3.Connection, device: int, from_us: int, to_us: int) -> bool:
    """Take a stretch out of the spans; False when none reaches into it. Inside a transaction."""
    touched = [span for span in spans(db, device) if span.from_us < to_us and span.to_us > from_us]
    _forget(db, device, touched)
    for span in touched:
        if span.from_us < from_us:
            _insert(db, device, Protected(span.from_us, from_us, span.who, span.since_us))
        if span.to_us > to_us:
            _insert(db, device, Protected(to_us, span.to_us, span.who, span.since_us))
    return bool(touched)


def protected_bytes(db: sqlite3.Connection, device: int | None = None) -> int:
    """Bytes of the closed chunks, of one device or all, that a span keeps."""
    # A chunk that begins before a span may reach into it; two spans may share a chunk.
    rows = db.execute(
        "SELECT DISTINCT c.id, c.bytes FROM protected p JOIN chunks c ON c.device = p.device"
        " AND c.id < p.to_us AND c.id >= coalesce((SELECT max(id) FROM chunks b"
        " WHERE b.device = p.device AND b.id <= p.from_us), p.from_us)"
        " WHERE c.id + c.duration_us > p.from_us AND (?1 IS NULL OR p.device = ?1)",
        (device,),
    )
    return sum(size for _, size in rows)


def problems(db: sqlite3.Connection) -> list[str]:
    """Spans that are none, or that overlap: `protect` makes neither."""
    rows = db.execute(
        "SELECT d.jid, p.from_us, p.to_us, (SELECT min(q.from_us) FROM protected q"
        " WHERE q.device = p.device AND q.from_us > p.from_us)"
        " FROM protected p JOIN devices d ON d.id = p.device"
    )
    return [
        f"{jid}: the protected span from {from_us} to {to_us} is broken"
        for jid, from_us, to_us, following in rows
        if from_us >= to_us or (following is not None and following < to_us)
    ]


def _forget(db: sqlite3.Connection, device: int, gone: list[Protected]) -> None:
    db.executemany(
        "DELETE FROM protected WHERE device = ? AND from_us = ?",
        [(device, span.from_us) for span in gone],
    )


def _insert(db: sqlite3.Connection, device: int, span: Protected) -> None:
    db.execute(
        "INSERT INTO protected VALUES (?, ?, ?, ?, ?)",
        (device, span.from_us, span.to_us, span.who, span.since_us),
    )
