"""`ucam verify`: are the recordings those that were recorded, all of them, and in their order?

Reads only, also beside a running storage. The chain's files and the index hold the same links:
either is enough, and where they disagree it is told.
"""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ucam.base.times import format_utc
from ucam.storage.chain import ChainError, Link, holds
from ucam.storage.database import Database, IndexFault
from ucam.storage.layout import CHAIN_GONE, INDEX, Place, days, files_of_day
from ucam.storage.rebuild import Progress
from ucam.storage.sealing import (
    chain_files,
    device_folder,
    gone_of_index,
    hash_parts,
    lines_of,
    read_gone,
    start_of,
    verified,
)

Keys = dict[str, Ed25519PublicKey]


@dataclass(slots=True)
class Verdict:
    """What was found of one device. `problems` are plain sentences; none: all is as recorded."""

    place: Place
    problems: list[str] = field(default_factory=list)
    chunks: int = 0
    unsealed: int = 0
    recovered: int = 0
    first: Link | None = None
    last: Link | None = None
    gone: tuple[tuple[int, int], ...] = ()
    # What a power cut left to the next start: files without a link, links without a file.
    unfinished: int = 0
    leaving: int = 0

    @property
    def summary(self) -> str:
        """For people, in one line."""
        text = f"{self.place.jid} ({self.place.location}): {self.chunks} chunks"
        if self.first is not None and self.last is not None:
            text += f", links {self.first.number} to {self.last.number}"
            text += f", the last sealed {self.last.sealed} with key {self.last.key}"
            text += f", head {self.last.head}"
        if self.gone:
            text += f"; rotation has taken {sum(b - a + 1 for a, b in self.gone)}"
        if self.recovered:
            text += f"; {self.recovered} sealed only after an interruption"
        if self.unfinished:
            text += f"; {self.unfinished} will be sealed at the storage's next start"
        if self.leaving:
            text += f"; rotation had begun to take {self.leaving} when the storage stopped"
        if self.unsealed:
            text += f"; {self.unsealed} older than the chain, not sealed"
        return text


def verify(
    root: Path,
    place: Place,
    keys: Keys,
    from_us: int,
    to_us: int,
    progress: Progress,
    head: tuple[int, str] | None = None,
) -> Verdict:
    """One device's chain, whole, and its files that begin in [from, to). Blocks.

    `head`: number and first digits of a link that the chain once had.
    """
    verdict = Verdict(place)
    # First the files, then the links: a chunk that is closed meanwhile has its link.
    files = {
        file.start_us: file
        for day_us in days(root, place)
        for file in files_of_day(root, place, day_us)
        if file.duration_ms is not None and from_us <= file.start_us < to_us
    }
    links = _links(root, place, keys, verdict)
    verdict.gone = _gone(root, place, keys, verdict)
    _sequence(links, verdict)
    if head is not None:
        _holds_head(links, verdict, *head)
    begun, leaving = _interrupted(root, place)
    wanted = [
        link
        for link in links.values()
        if (start_us := start_of(link)) is not None
        and from_us <= start_us < to_us
        and not holds(verdict.gone, link.number)
    ]
    for done, link in enumerate(wanted, 1):
        _file(root, place, keys, link, leaving, verdict)
        progress(done, len(wanted))
    sealed = {start_of(link) for link in links.values()}
    first_us = min((start for start in sealed if start is not None), default=None)
    for start_us, file in sorted(files.items()):
        if start_us in sealed or not file.path.exists():
            continue
        if start_us in begun:
            verdict.unfinished += 1
        elif first_us is None or (start_us < first_us and not verdict.gone):
            verdict.unsealed += 1
        else:
            verdict.problems.append(f"{file.path}: is not in the chain")
    return verdict


def _interrupted(root: Path, place: Place) -> tuple[set[int], set[int]]:
    """The chunks that were begun and have no row, and those whose deletion was begun: a power cut
    may have come between their steps, and the next start takes the rest of them.
    """
    database = _index(root)
    if database is None:
        return set(), set()
    try:
        begun = {chunk for of, chunk in database.begun() if of == place}
        return begun, {chunk.id for chunk in database.leaving() if chunk.place == place}
    finally:
        database.close()


def _holds_head(links: dict[int, Link], verdict: Verdict, number: int, digits: str) -> None:
    """Whether a link that was once the newest is still in the chain."""
    if holds(verdict.gone, number) and number not in links:
        return  # rotation has taken it: its digest is not known any more
    link = links.get(number)
    if link is None or not link.digest.startswith(digits):
        found = "is not in the chain" if link is None else "is another one now"
        verdict.problems.append(
            f"{verdict.place.jid}: link {number}, which was its newest once, {found}:"
            " the chain was cut or made anew"
        )


def _links(root: Path, place: Place, keys: Keys, verdict: Verdict) -> dict[int, Link]:
    links: dict[int, Link] = {}
    for path in chain_files(root, place):
        before = -1
        for number, line in enumerate(lines_of(path), 1):
            link = _accept(f"{path}, line {number}", line, place, keys, links, verdict)
            if link is None:
                continue
            if link.number < before:
                verdict.problems.append(
                    f"{path}, line {number}: link {link.number} stands behind link {before}:"
                    " their order was changed"
                )
            before = link.number
    for number, line in _lines_of_index(root, place):
        if number not in links:
            where = f"{root / INDEX}, link {number}"
            link = _accept(where, line, place, keys, links, verdict)
            if link is not None and not _day_gone(root, place, link):
                verdict.problems.append(
                    f"{device_folder(root, place)}: link {number} ({link.path}) was taken out of"
                    " its chain file; the index still has it"
                )
    return links


def _accept(
    where: str, line: str, place: Place, keys: Keys, links: dict[int, Link], verdict: Verdict
) -> Link | None:
    """A line of the chain into `links`, if it is one."""
    try:
        link = verified(keys, line)
    except ChainError as error:
        verdict.problems.append(f"{where}: {error}")
        return None
    if not isinstance(link, Link) or (link.location, link.jid) != (place.location, place.jid):
        verdict.problems.append(f"{where}: belongs to another device")
        return None
    known = links.setdefault(link.number, link)
    if known != link:
        verdict.problems.append(f"{where}: there are two different links {link.number}")
        return None
    return link


def _day_gone(root: Path, place: Place, link: Link) -> bool:
    """Whether the chain file of a link's day went with the last chunk of that day."""
    return not (device_folder(root, place) / link.path).parent.parent.exists()


def _index(root: Path) -> Database | None:
    if not (root / INDEX).exists():
        return None
    try:
        return Database(root / INDEX)
    except (IndexFault, sqlite3.Error):
        return None  # `ucam fsck` tells it


def _lines_of_index(root: Path, place: Place) -> list[tuple[int, str]]:
    database = _index(root)
    if database is None:
        return []
    try:
        return database.connection.execute(
            "SELECT l.number, l.line FROM links l JOIN devices d ON d.id = l.device"
            " WHERE location = ? AND jid = ? ORDER BY l.number",
            (place.location, place.jid),
        ).fetchall()
    finally:
        database.close()


def _gone(root: Path, place: Place, keys: Keys, verdict: Verdict) -> tuple[tuple[int, int], ...]:
    path = device_folder(root, place) / CHAIN_GONE
    if path.exists() and read_gone(root, place, keys) is None:
        verdict.problems.append(f"{path}: is not signed by this storage")
    return _ranges_gone(root, place, keys)


def _ranges_gone(root: Path, place: Place, keys: Keys) -> tuple[tuple[int, int], ...]:
    """What rotation says of itself: in the file, or later in the index."""
    said = [read_gone(root, place, keys)]
    if (database := _index(root)) is not None:
        try:
            said.append(gone_of_index(database, place, keys))
        finally:
            database.close()
    newest = max((gone for gone in said if gone), key=lambda gone: gone.sealed, default=None)
    return () if newest is None else newest.ranges


def _sequence(links: dict[int, Link], verdict: Verdict) -> None:
    """Numbers without a hole, each link tied to the one before."""
    numbers = sorted(links)
    if not numbers:
        return
    verdict.first, verdict.last = links[numbers[0]], links[numbers[-1]]
    for number in _holes(numbers, verdict.gone):
        verdict.problems.append(f"{verdict.place.jid}: link {number} of the chain is missing")
    for number in numbers:
        before = links.get(number - 1)
        if before is not None and links[number].previous != before.digest:
            verdict.problems.append(
                f"{verdict.place.jid}: link {number} ({links[number].path}) is not tied to"
                f" link {number - 1} ({before.path})"
            )


def _holes(numbers: list[int], gone: tuple[tuple[int, int], ...]) -> Iterator[int]:
    expected = 0
    for number in numbers:
        yield from (hole for hole in range(expected, number) if not holds(gone, hole))
        expected = number + 1


def _file(
    root: Path, place: Place, keys: Keys, link: Link, leaving: set[int], verdict: Verdict
) -> None:
    path = device_folder(root, place) / link.path
    start_us = start_of(link)
    assert start_us is not None
    told = f"{path}: recorded at {format_utc(start_us)} (link {link.number})"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if start_us in leaving:
            verdict.leaving += 1
        elif not holds(_ranges_gone(root, place, keys), link.number):
            verdict.problems.append(f"{told}: the file is missing")
        return
    except OSError as error:
        verdict.problems.append(f"{told}: can't be read: {error.strerror}")
        return
    try:
        size = os.fstat(descriptor).st_size
        parts = hash_parts(descriptor, size, link.parts.head_bytes)
    except OSError as error:
        verdict.problems.append(f"{told}: can't be read: {error.strerror}")
        return
    finally:
        os.close(descriptor)
    verdict.chunks += 1
    verdict.recovered += link.kind == "recovered"
    if size != link.bytes:
        verdict.problems.append(f"{told}: has {size} bytes instead of {link.bytes}")
    elif parts != link.parts:
        verdict.problems.append(f"{told}: its content is not what was recorded")
