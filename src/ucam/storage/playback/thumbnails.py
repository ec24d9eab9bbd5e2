"""/cameras/JID/thumbnails and /sheet: pictures of a window, sixty to a sheet, made on demand.

Sheets lie on a grid of time (from is a multiple of sixty intervals), so that viewers who look at
much the same ask for the same sheets. They are kept in memory, up to a bound; nothing is written.
"""

import asyncio
import hashlib
import importlib
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ucam.base.times import format_utc
from ucam.storage.changes import Change
from ucam.storage.database import Database
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Problem, Request, json_answer
from ucam.storage.playback.library import Library, Query, Stored
from ucam.storage.playback.ranges import is_known

_log = logging.getLogger(__name__)
GRID = {"width": 160, "height": 90, "columns": 10, "rows": 6}
PICTURES = GRID["columns"] * GRID["rows"]
# Seconds between two pictures: the first that makes the window one sheet or less.
INTERVALS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800)
MOST_SHEETS = 24
MOST_CHUNKS = 50_000
MOST_CACHED_BYTES = 32 << 20  # the least recently used goes first
MOST_WAITING = 8  # sheets that wait for the one worker; above it: 429
Note = Callable[[Sequence[Change]], None]
Picture = tuple[int, Stored, int, int]  # cell, chunk, offset of the fragment, time in µs


def pictures(chunks: Sequence[Stored], from_us: int, interval_us: int) -> list[Picture]:
    """For each interval in which a keyframe begins the first such, from `from_us` on."""
    found: dict[int, Picture] = {}
    for chunk in chunks:
        for piece in chunk.pieces:
            at_us = chunk.id + piece.start_us
            cell = (at_us - from_us) // interval_us
            if piece.keyframe and cell >= 0 and cell not in found:
                found[cell] = (cell, chunk, piece.offset, at_us)
    return [found[cell] for cell in sorted(found)]


class Thumbnails:
    """Answers both. One worker: it takes a core for a second a sheet."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="thumbnails")
        self._sheets: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._making: dict[tuple[object, ...], asyncio.Future[bytes]] = {}

    async def thumbnails(self, library: Library, place: Place, query: Query) -> Answer:
        """Which sheets show the window, and when each of their pictures was taken."""
        from_us, to_us = library.window(query)
        interval_s = _interval(query, to_us - from_us)
        length_us = interval_s * 1_000_000 * PICTURES
        first = from_us // length_us * length_us
        begins = range(first, to_us, length_us)
        if len(begins) > MOST_SHEETS:
            raise Problem(400, "too-many", f"more than {MOST_SHEETS} sheets: a longer interval")
        chunks = await library.stored(place, first, begins[-1] + length_us, MOST_CHUNKS)
        found = await asyncio.to_thread(pictures, chunks, first, interval_s * 1_000_000)
        sheets = []
        for number, begin in enumerate(begins):
            cells = range(number * PICTURES, (number + 1) * PICTURES)
            times: list[str | None] = [None] * PICTURES
            for cell, _, _, at_us in found:
                if cell in cells:
                    times[cell - cells.start] = format_utc(at_us)
            if any(times):
                address = f"sheet?from={format_utc(begin)}&interval={interval_s}"
                sheets.append({"from": format_utc(begin), "sheet": address, "times": times})
        return json_answer({"interval": interval_s, **GRID, "sheets": sheets})

    async def sheet(self, library: Library, place: Place, query: Query, request: Request) -> Answer:
        """A sheet's WebP."""
        if "from" not in query or "interval" not in query:
            raise Problem(400, "bad-time", "say from and interval")
        interval_us = _interval(query, 0) * 1_000_000
        # The window is the sheet's, whatever else was asked.
        from_us, _ = library.window({"from": query["from"], "to": "9999-01-01T00:00:00Z"})
        to_us = from_us + interval_us * PICTURES
        chunks = await library.stored(place, from_us, to_us, MOST_CHUNKS)
        found = await asyncio.to_thread(pictures, chunks, from_us, interval_us)
        found = [picture for picture in found if picture[0] < PICTURES]
        if not found:
            raise Problem(404, "not-found", "there is no picture in this time")
        shape = tuple((cell, chunk.id, offset) for cell, chunk, offset, _ in found)
        # Weak: another version of the encoder makes other bytes of the same pictures.
        etag = f'W/"{hashlib.sha256(repr(shape).encode()).hexdigest()[:32]}"'
        complete = to_us < library.now_us()
        headers = {"cache-control": f"private, max-age={3600 if complete else 5}", "etag": etag}
        if is_known(request, etag):
            return Answer(304, headers)
        note = partial(_note, library, place)
        data = await self._made((place, shape), found, note)
        return Answer(200, {"content-type": "image/webp", **headers}, data)

    async def _made(self, key: tuple[object, ...], found: list[Picture], note: Note) -> bytes:
        if key in self._sheets:
            self._sheets.move_to_end(key)
            return self._sheets[key]
        future = self._making.get(key)
        if future is None:
            if len(self._making) >= MOST_WAITING:
                raise Problem(429, "busy", "too many pictures are being made: ask again")
            loop = asyncio.get_running_loop()
            future = self._making[key] = loop.run_in_executor(self._worker, _make, found, note)
            future.add_done_callback(lambda done: self._keep(key, done))
        # Somebody else may wait for it, too.
        return await asyncio.shield(future)

    def _keep(self, key: tuple[object, ...], done: "asyncio.Future[bytes]") -> None:
        del self._making[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._sheets[key] = done.result()
        while self.cached_bytes > MOST_CACHED_BYTES and len(self._sheets) > 1:
            self._sheets.popitem(last=False)

    @property
    def cached_bytes(self) -> int:
        """What the sheets take."""
        return sum(map(len, self._sheets.values()))


def _note(library: Library, place: Place, seen: Sequence[Change]) -> None:
    """Let the timeline know what changed between pictures. Blocks."""
    try:
        library.index.call(Database.note_changes, place, seen)
    except sqlite3.Error as error:
        _log.warning("what pictures of %s show isn't kept: %s", place.jid, error)


def _make(found: list[Picture], note: Note) -> bytes:
    # FFmpeg's libraries take 30 MB: only when somebody wants pictures.
    sprites = importlib.import_module("ucam.storage.playback.sprites")
    cells = [
        sprites.Cell(cell, at_us, chunk.current_path(), chunk.init_length, offset)
        for cell, chunk, offset, at_us in found
    ]
    watch = sprites.Watch()
    made: bytes = sprites.sheet(cells, watch)
    note(watch.changes)
    return made


def _interval(query: Query, window_us: int) -> int:
    """Seconds between pictures: as asked, or so that the window is about one sheet."""
    if "interval" not in query:
        wanted = -(-window_us // (PICTURES * 1_000_000))
        return next((each for each in INTERVALS_S if each >= wanted), INTERVALS_S[-1])
    text = query["interval"]
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:6]) <= 86_400:
        raise Problem(400, "bad-interval", "interval is whole seconds, 1 to 86400")
    return int(text[:6])
