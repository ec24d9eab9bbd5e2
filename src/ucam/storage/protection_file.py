"""The protected spans in a file of their own, `PATH/protected.json`.

The index is the one that is asked. The file is for an index that was lost: made anew from the names
of files, it wouldn't know what somebody wanted to keep. It is written before the index commits, so
that a span that was answered for is in both.
"""

import sqlite3
from pathlib import Path

import msgspec

from ucam.base.files import write_atomically
from ucam.base.times import format_utc, parse_utc
from ucam.storage.disk import FILE_MODE
from ucam.storage.layout import PROTECTED, Place
from ucam.storage.protection import MOST_SPANS, Protected

MOST_BYTES = 1 << 20


class _Span(msgspec.Struct, rename={"begin": "from", "end": "to"}):
    location: str
    jid: str
    begin: str
    end: str
    by: str
    since: str

    def value(self) -> tuple[Place, Protected]:
        span = Protected(parse_utc(self.begin), parse_utc(self.end), self.by, parse_utc(self.since))
        if not 0 <= span.from_us < span.to_us:
            raise ValueError(f"a span from {self.begin} to {self.end}")
        return Place(self.location, self.jid), span


def _content(db: sqlite3.Connection) -> bytes:
    rows = db.execute(
        "SELECT d.location, d.jid, p.from_us, p.to_us, p.who, p.since_us FROM protected p"
        " JOIN devices d ON d.id = p.device ORDER BY d.location, d.jid, p.from_us"
    )
    spans = [
        _Span(location, jid, format_utc(begin), format_utc(end), who, format_utc(since))
        for location, jid, begin, end, who, since in rows
    ]
    return msgspec.json.format(msgspec.json.encode(spans)) + b"\n"


def write(folder: Path, db: sqlite3.Connection) -> None:
    """Say what the index says, durably. Raises `OSError`."""
    write_atomically(folder / PROTECTED, _content(db), mode=FILE_MODE)


def agrees(folder: Path, db: sqlite3.Connection) -> bool:
    """Whether it says what the index says."""
    path, wanted = folder / PROTECTED, _content(db)
    if not path.exists():
        return wanted == b"[]\n"
    return path.stat().st_size <= MOST_BYTES and path.read_bytes() == wanted


def read(folder: Path) -> list[tuple[Place, Protected]]:
    """The spans; none without the file. Raises `OSError`, or `ValueError` for another content."""
    path = folder / PROTECTED
    if not path.exists():
        return []
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("it is too long")
    spans = msgspec.json.decode(path.read_bytes(), type=list[_Span])
    if len(spans) > MOST_SPANS:
        raise ValueError(f"more than {MOST_SPANS} spans")
    return [span.value() for span in spans]
