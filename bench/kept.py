"""The values behind a page, as JSON beside it: a point that is measured again replaces its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.result import Missing, Plan, Point, Result, Row


@dataclass
class Section:
    """What a point has given. `began`: RFC 3339; `load`: the load average then; `failed`: whether
    it broke off.
    """

    name: str
    plan: Plan
    began: str
    load: float
    failed: bool
    results: list[Result]
    missing: list[Missing]

    def add(self, row: Row) -> None:
        """Take one more."""
        if isinstance(row, Missing):
            self.missing.append(row)
        else:
            self.results.append(row)


@dataclass
class Kept:
    """A page's sections by the names of their points, and what is remarked on them."""

    remarks: str
    sections: dict[str, Section]

    def in_order(self, points: Sequence[Point]) -> list[tuple[Point, Section]]:
        """In the order of `points`; what no point has a name for (any more) is left out."""
        return [(p, self.sections[p.name]) for p in points if p.name in self.sections]


def read(path: Path) -> Kept:
    """What was kept in `path`; nothing where there is no such file."""
    if not path.exists():
        return Kept("", {})
    return msgspec.json.decode(path.read_bytes(), type=Kept)


def put(path: Path, section: Section) -> None:
    """Keep a section; the others stay as they are."""
    kept = read(path)
    kept.sections[section.name] = section
    _write(path, kept)


def remark(path: Path, text: str) -> None:
    """Keep what is to be said of all of it."""
    kept = read(path)
    kept.remarks = text
    _write(path, kept)


def _write(path: Path, kept: Kept) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1))
