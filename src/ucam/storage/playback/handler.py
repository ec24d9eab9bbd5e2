"""What a viewer may ask for, and the answers. It knows neither channel nor HTTP.

    /cameras · /cameras/JID/timeline?from&to · /cameras/JID/chunks?from&to · /chunks/ID (Range)

What a viewer may not see is answered exactly like what isn't there.
"""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from ucam.base.times import format_utc, parse_utc
from ucam.media import MediaError
from ucam.storage.database import Database
from ucam.storage.index import Index
from ucam.storage.layout import Place, chunk_path
from ucam.storage.playback.tables import Table, TableCache, read_table
from ucam.storage.playback.views import (
    activity,
    bytes_per_us,
    closed_entry,
    live_entry,
    merge,
    stretch,
    touches,
)
from ucam.storage.recorder import Recorder
from ucam.storage.records import Chunk, Gap
from ucam.storage.writer import GAP_TOLERANCE_US, LiveChunk

DAY_US = 86_400_000_000
MOST_CHUNKS = 400  # with their fragments; the answer says "more" when there are more
MOST_SPANNED = 50_000  # chunks of one timeline: a month of minutes
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` with its query; `locations`: those whose cameras the viewer may see."""

    path: str
    locations: frozenset[str]
    range: str | None = None


@dataclass(slots=True)
class FileSlice:
    """Bytes of an open file; whoever gets it closes it. Deleting or renaming doesn't matter."""

    descriptor: int
    offset: int
    length: int

    def read(self, position: int, size: int) -> bytes:
        """At most `size` bytes from `position` of the slice on. Blocks. Raises `OSError`."""
        size = min(size, self.length - position)
        return os.pread(self.descriptor, size, self.offset + position)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: bytes, or a part of a file."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | FileSlice = b""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.body.length if isinstance(self.body, FileSlice) else len(self.body)


class _Problem(Exception):  # noqa: N818 - becomes an answer
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


def _not_found() -> _Problem:
    return _Problem(404, "not-found", "there is no such recording")


def problem(status: int, code: str, text: str) -> Answer:
    """An answer that says what is wrong."""
    return _json({"error": {"code": code, "text": text}}, status)


def _json(content: object, status: int = 200) -> Answer:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Answer(status, headers, msgspec.json.encode(content))


class Handler:
    """Answers requests from the index, the open chunks and the files.

    `on_device`: what a camera says it still holds, as (from, to) in µs. `now_us`: the clock.
    """

    def __init__(
        self,
        root: Path,
        index: Index,
        recorder: Recorder,
        *,
        on_device: Callable[[Place], tuple[int, int] | None],
        now_us: Callable[[], int],
    ) -> None:
        self._root = root
        self._index = index
        self._recorder = recorder
        self._on_device = on_device
        self._now_us = now_us
        self._tables = TableCache()

    async def handle(self, request: Request) -> Answer:
        """One answer; never raises for what a viewer asks."""
        url = urlsplit(request.path)
        parts = [unquote(part) for part in url.path.split("/")[1:]]
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            match parts:
                case ["cameras"]:
                    return await self._cameras(request)
                case ["cameras", jid, "timeline"]:
                    return await self._timeline(await self._place(jid, request), query)
                case ["cameras", jid, "chunks"]:
                    return await self._chunks(await self._place(jid, request), query)
                case ["chunks", number] if number.isascii() and number.isdigit():
                    return await self._bytes(int(number[:19]), request)
            raise _not_found()
        except _Problem as found:
            return problem(found.status, found.code, str(found))

    async def _place(self, jid: str, request: Request) -> Place:
        known = await self._index.run(Database.places)
        live = [chunk.place for chunk in self._recorder.live.values()]
        for place in [*known, *live]:
            if place.jid == jid and place.location in request.locations:
                return place
        raise _not_found()

    def _live_of(self, place: Place) -> list[LiveChunk]:
        return [
            chunk
            for chunk in list(self._recorder.live.values())
            if chunk.place == place and chunk.pieces
        ]

    # /cameras

    async def _cameras(self, request: Request) -> Answer:
        kept = await self._index.run(Database.cameras)
        room = await asyncio.to_thread(self._recorder.space.room)
        rate = sum(bytes_per_us(camera) for camera in kept)
        left_days = room / rate / DAY_US if rate else None
        found: dict[Place, dict[str, Any]] = {}
        for camera in kept:
            found[camera.place] = {
                "jid": camera.place.jid,
                "location": camera.place.location,
                "first": camera.first_us,
                "last": camera.end_us,
                "bytes": camera.totals.bytes,
            }
        for chunk in list(self._recorder.live.values()):
            if not chunk.pieces:
                continue
            entry = found.setdefault(
                chunk.place,
                {
                    "jid": chunk.place.jid,
                    "location": chunk.place.location,
                    "first": chunk.id,
                    "last": chunk.id,
                    "bytes": 0,
                },
            )
            entry["last"] = max(entry["last"], chunk.end_us)
            entry["bytes"] += chunk.durable_bytes
        cameras = [
            {
                **entry,
                "first": format_utc(entry["first"]),
                "last": format_utc(entry["last"]),
                "days-kept": round((entry["last"] - entry["first"]) / DAY_US, 4),
                "days-left": None if left_days is None else round(left_days, 4),
            }
            for place, entry in sorted(found.items())
            if place.location in request.locations
        ]
        return _json({"cameras": cameras})

    # /cameras/JID/timeline

    async def _timeline(self, place: Place, query: dict[str, str]) -> Answer:
        from_us, to_us = self._window(query)
        chunks = await self._index.run(Database.chunks, place, from_us, to_us, MOST_SPANNED)
        gaps = await self._index.run(Database.gaps, place, from_us, to_us)
        live = self._live_of(place)
        closed_ids = {chunk.id for chunk in chunks}
        live = [
            chunk
            for chunk in live
            if chunk.id not in closed_ids and chunk.id < to_us and chunk.end_us > from_us
        ]
        stretches = [(chunk.id, chunk.end_us) for chunk in chunks]
        stretches += [(chunk.id, chunk.end_us) for chunk in live]
        held = self._on_device(place)
        return _json(
            {
                "jid": place.jid,
                "from": format_utc(from_us),
                "to": format_utc(to_us),
                "spans": [stretch(*span) for span in merge(stretches, from_us, to_us)],
                "gaps": [
                    {**stretch(gap.from_us, gap.to_us), "reason": gap.reason}
                    for gap in await self._with_present(place, gaps, from_us, to_us)
                    if gap.to_us > gap.from_us
                ],
                "on-device": [stretch(*held)] if held and touches(held, from_us, to_us) else [],
                "activity": activity(chunks, live, from_us, to_us),
            }
        )

    async def _with_present(
        self, place: Place, gaps: list[Gap], from_us: int, to_us: int
    ) -> list[Gap]:
        """The gaps told, and the one that lasts now: since the camera isn't recorded any more."""
        if self._recorder.recording(place):
            return gaps
        end_us = await self._index.run(Database.end_us, place)
        until = min(to_us, self._now_us())
        if end_us is None or until - max(end_us, from_us) <= GAP_TOLERANCE_US:
            return gaps
        return [*gaps, Gap(max(end_us, from_us), until, self._recorder.why_away(place))]

    def _window(self, query: dict[str, str]) -> tuple[int, int]:
        try:
            to_us = parse_utc(query["to"]) if "to" in query else self._now_us()
            from_us = parse_utc(query["from"]) if "from" in query else to_us - DAY_US
        except (ValueError, OverflowError) as error:
            raise _Problem(400, "bad-time", str(error)) from None
        if not 0 <= from_us < to_us:
            raise _Problem(400, "bad-time", "from must be before to, and after 1970")
        return from_us, to_us

    # /cameras/JID/chunks

    async def _chunks(self, place: Place, query: dict[str, str]) -> Answer:
        from_us, to_us = self._window(query)
        kept = await self._index.run(Database.chunks, place, from_us, to_us, MOST_CHUNKS + 1)
        entries = []
        for chunk in kept[:MOST_CHUNKS]:
            table = await self._table(chunk)
            if table is not None:
                entries.append(closed_entry(chunk, table))
        ids = {chunk.id for chunk in kept}
        for live in self._live_of(place):
            if live.id not in ids and live.id < to_us and live.end_us > from_us:
                entries.append(live_entry(live))
        return _json({"chunks": entries, "more": len(kept) > MOST_CHUNKS})

    async def _table(self, chunk: Chunk) -> Table | None:
        table = self._tables.get(chunk.id)
        if table is None:
            path = self._root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
            try:
                table = await asyncio.to_thread(read_table, path, chunk.id)
            except (OSError, MediaError):
                return None  # rotated away meanwhile, or damaged: fsck tells
            self._tables.put(chunk.id, table)
        return table

    # /chunks/ID

    async def _bytes(self, number: int, request: Request) -> Answer:
        # Twice: between looking at the open chunks and at the index it may be closed.
        for _ in range(2):
            live = self._recorder.live.get(number)
            if live is not None and live.place.location in request.locations:
                found = await self._open(live.path, live.durable_bytes, request.range, live=True)
                if found is not None:
                    return found
            chunk = await self._index.run(Database.chunk, number)
            if chunk is not None and chunk.place.location in request.locations:
                path = self._root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
                found = await self._open(path, chunk.bytes, request.range, live=False)
                if found is not None:
                    return found
        raise _not_found()

    async def _open(
        self, path: Path, size: int, wanted: str | None, *, live: bool
    ) -> Answer | None:
        """Part of a file; None when it isn't there (any more)."""
        begin, end = byte_range(wanted, size)
        try:
            descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        headers = {
            "content-type": "video/mp4",
            "accept-ranges": "bytes",
            "cache-control": "no-store" if live else "private, max-age=3600",
        }
        status = 200
        if wanted is not None:
            status = 206
            headers["content-range"] = f"bytes {begin}-{end - 1}/{'*' if live else size}"
        return Answer(status, headers, FileSlice(descriptor, begin, end - begin))


def byte_range(wanted: str | None, size: int) -> tuple[int, int]:
    """First byte and the one behind the last, of `bytes=A-B`, `bytes=A-` or `bytes=-N`
    (RFC 9110 §14.1.2); one range at a time.
    """
    if wanted is None:
        return 0, size
    match = _RANGE.fullmatch(wanted)
    if match is None or match[1] == match[2] == "":
        raise _Problem(400, "bad-range", 'write the range as "bytes=0-999"')
    if match[1] == "":
        begin, end = max(0, size - int(match[2])), size
    else:
        begin = int(match[1])
        end = size if match[2] == "" else min(size, int(match[2]) + 1)
    if begin >= end:
        raise _Problem(416, "bad-range", f"the chunk has {size} bytes")
    return begin, end
