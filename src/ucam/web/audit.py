"""Who did what: an append-only log of JSON lines, and the way to read it.

`data-dir/audit/2026-11-22.jsonl`, then `2026-11-22.1.jsonl` when the day's file is full. A line is
never changed; whole files go when they are too old, or all together too large. Several processes
may append to one folder: each line is one write.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ucam.base.files import sync_directory
from ucam.base.times import format_utc
from ucam.web.config import Audit
from ucam.web.keys import give_to_owner
from ucam.web.limits import Bucket
from ucam.web.metrics import EVENTS

_log = logging.getLogger(__name__)

MAX_WAITING_ENTRIES = 4096
MAX_FILE_BYTES = 4 << 20
MAX_TEXT_CHARACTERS = 300
MOST_ENTRIES = 1000
REFUSALS_PER_S = 0.2
REFUSAL_BURST = 100


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="kebab"):
    """One thing that was done. `what` is one of `ACTIONS`; `locations`: whom it concerns, so who
    sees one of them may read it."""

    time: str
    what: str
    who: str | None = None
    role: str | None = None
    object: str | None = None
    network: str | None = None
    agent: str | None = None
    detail: str | None = None
    locations: tuple[str, ...] = ()


ACTIONS = {
    "login": "a person has logged in",
    "logout": "a session was ended by its owner",
    "session-ended": "a session was ended from the sessions list, or because its token was stolen",
    "refused": "a token, link or code opened nothing, or an address may not log in",
    "watch": "a person asked a camera for live pictures",
    "recordings": "a person asked a storage for recordings, exports included",
    "token-made": "a token was made by hand, or by enrolling a device",
    "token-revoked": "a token was revoked",
    "invited": "a one-time code was made",
    "reloaded": "another configuration came into force",
    "keys-rotated": "tokens are signed with another key",
    "lost": "so many entries could not be written",
}


class AuditLog:
    """Takes entries without waiting, writes them in a thread."""

    def __init__(self, data_dir: Path, limits: Audit) -> None:
        self._files = Files(data_dir / "audit")
        self.limits = limits
        # Full means that the disk doesn't take them: new ones are dropped and counted, for a
        # full disk must not keep people from their cameras. The count is written when it can be.
        self._queue: asyncio.Queue[Entry] = asyncio.Queue(MAX_WAITING_ENTRIES)
        self.lost = 0
        """Entries that could not be written, and are not told in the log yet."""
        self._failing = False
        # Strangers write these: many a second would push all else out of the log.
        self._refusals = Bucket(REFUSALS_PER_S, REFUSAL_BURST, time.monotonic())

    def note(
        self,
        what: str,
        *,
        who: str | None = None,
        role: str | None = None,
        object: str | None = None,
        network: str | None = None,
        agent: str | None = None,
        detail: str | None = None,
        locations: tuple[str, ...] = (),
    ) -> None:
        """Queue an entry; never waits."""
        assert what in ACTIONS, what
        EVENTS.labels(what).inc()
        if what == "refused" and not self._refusals.take(time.monotonic()):
            return
        texts = {
            "object": None if object is None else str(object),
            "network": network,
            "agent": agent,
            "detail": detail,
        }
        entry = Entry(
            time=format_utc(time.time_ns() // 1000),
            what=what,
            who=None if who is None else str(who),  # a JID is more than msgspec writes
            role=role,
            locations=locations,
            **{name: text and text[:MAX_TEXT_CHARACTERS] for name, text in texts.items()},
        )
        try:
            self._queue.put_nowait(entry)
        except asyncio.QueueFull:
            self.lost += 1

    async def run(self) -> None:
        """Write what is queued, many lines a sync; for ever. What is queued at the end is
        written, too."""
        try:
            while True:
                first = await self._queue.get()
                await _to_its_end(self._write([first, *self._waiting()]))
        finally:
            await _to_its_end(self.write_out())

    async def write_out(self) -> None:
        """Write what is queued, for who doesn't `run`."""
        await self._write([*self._waiting()])

    async def read(
        self, query: "Query", locations: frozenset[str], *, everything: bool
    ) -> list[Entry]:
        """The newest entries that `query` asks for and who sees `locations` may read."""
        return await asyncio.to_thread(self._files.read, query, locations, everything)

    def _waiting(self) -> Iterator[Entry]:
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                yield self._queue.get_nowait()

    async def _write(self, entries: list[Entry]) -> None:
        if lost := self.lost:
            now = format_utc(time.time_ns() // 1000)
            entries = [Entry(time=now, what="lost", detail=f"{lost} entries"), *entries]
        if not entries:
            return
        try:
            await asyncio.to_thread(self._files.append, entries, self.limits)
        except OSError as error:
            self.lost += sum(entry.what != "lost" for entry in entries)
            if not self._failing:
                _log.error("the audit log can't be written: %s", error)
            self._failing = True
            return
        self.lost -= lost
        self._failing = False


async def _to_its_end(writing: Coroutine[None, None, None]) -> None:
    """Await; a cancellation waits until it is done."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What of the log is wanted: times in µs since 1970, [from, to)."""

    from_us: int
    to_us: int
    who: str | None = None
    what: str | None = None
    most: int = MOST_ENTRIES


class Files:
    """The files of one folder. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, entries: Iterable[Entry], limits: Audit) -> None:
        """Write and sync; raises `OSError`."""
        data = b"".join(_ENCODER.encode(entry) + b"\n" for entry in entries)
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            give_to_owner(self._folder)
        path, new = self._current()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # One call: lines of several processes don't mix.
            written = os.write(descriptor, data)
            os.fdatasync(descriptor)
            if written != len(data):
                raise OSError("the disk took a part only")
        finally:
            os.close(descriptor)
        if new:
            give_to_owner(path)  # a command that root runs must not lock the service out
            sync_directory(self._folder)
            self._trim(limits)

    def read(self, query: Query, locations: frozenset[str], everything: bool) -> list[Entry]:
        """Newest first."""
        found: list[Entry] = []
        first_day, last_day = (format_utc(us)[:10] for us in (query.from_us, query.to_us))
        from_time, to_time = format_utc(query.from_us), format_utc(query.to_us)
        for path in sorted(self._paths(), key=_order, reverse=True):
            if not first_day <= path.name[:10] <= last_day:
                continue
            for entry in reversed(_read(path)):
                if not from_time <= entry.time < to_time:
                    continue
                if query.who not in (None, entry.who) or query.what not in (None, entry.what):
                    continue
                seen = tuple(name for name in entry.locations if name in locations)
                if seen or everything:
                    # Names of other locations are none of the reader's business.
                    found.append(msgspec.structs.replace(entry, locations=seen))
                    if len(found) >= query.most:
                        return found
        return found

    def _paths(self) -> list[Path]:
        return list(self._folder.glob("????-??-??*.jsonl"))

    def _current(self) -> tuple[Path, bool]:
        """The file for new lines, and whether it is a new one."""
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        number = 0
        while True:
            path = self._folder / (f"{day}.{number}.jsonl" if number else f"{day}.jsonl")
            try:
                if path.stat().st_size < MAX_FILE_BYTES:
                    return path, False
            except FileNotFoundError:
                return path, True
            number += 1

    def _trim(self, limits: Audit) -> None:
        """Take whole files away, oldest first; the newest stays in any case."""
        oldest = datetime.fromtimestamp(time.time() - limits.keep, UTC).strftime("%Y-%m-%d")
        paths = sorted(self._paths(), key=_order)
        total = sum(path.stat().st_size for path in paths)
        for path in paths[:-1]:
            if path.name[:10] >= oldest and total <= limits.maxspace:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


def _order(path: Path) -> tuple[str, int]:
    day, *number = path.name.removesuffix(".jsonl").split(".")
    return day, int(number[0]) if number and number[0].isdigit() else 0


def _read(path: Path) -> list[Entry]:
    entries = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []  # it was trimmed meanwhile
    for line in lines:
        # A power cut may leave half a line; what is whole is read.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            entries.append(_DECODER.decode(line))
    return entries
