"""/cameras/JID/export: a window as one MP4 that any player, phone or messenger takes.

The file exists nowhere: its head is computed from the fragments' own heads, the rest is read from
the chunks while it is sent, from whatever byte on.
"""

import asyncio
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from ucam.media import MediaError
from ucam.storage.layout import Place
from ucam.storage.playback import bundles
from ucam.storage.playback.answers import Answer, Body, Problem, Request, byte_range, not_found
from ucam.storage.playback.heads import fragment_at, read_tracks
from ucam.storage.playback.library import Library, Query, Stored
from ucam.storage.playback.progressive import MixedError, Plan, Progressive

MOST_US = 7 * 86_400_000_000
MOST_CHUNKS = 200_000
MOST_CACHED_BYTES = 64 << 20
MOST_MAKING = 2  # plans computed at a time; who comes later waits
OPEN_FILES = 4


def _needed(chunk: Stored, from_us: int, to_us: int) -> tuple[int, int]:
    """The bytes [begin, end) of a chunk that show the window: from the keyframe at or before its
    begin, if the chunk has one.
    """
    first = 0
    for number, piece in enumerate(chunk.pieces):
        if chunk.id + piece.start_us > from_us and number:
            break
        if piece.keyframe:
            first = number
    begin = chunk.pieces[first].offset
    inside = (p.offset + p.size for p in chunk.pieces if chunk.id + p.start_us < to_us)
    return begin, max(inside, default=begin)


def make_plan(chunks: Sequence[Stored], from_us: int, to_us: int) -> Plan | None:
    """Read the heads of all fragments. Blocks. Raises `OSError` or `MediaError`."""
    made = Progressive(from_us, to_us)
    for number, chunk in enumerate(chunks):
        position, end = _needed(chunk, from_us, to_us)
        descriptor = os.open(chunk.current_path(), os.O_RDONLY | os.O_CLOEXEC)
        try:
            tracks = read_tracks(os.pread(descriptor, chunk.init_length, 0))
            made.begin(tracks)
            while position < end:
                fragment = fragment_at(descriptor, position, tracks)
                made.add(number, fragment)
                position = fragment.end
        finally:
            os.close(descriptor)
    return made.finish()


class VirtualFile:
    """Bytes of a plan's file; opens the chunks as they are needed, a few at a time."""

    def __init__(self, plan: Plan, chunks: Sequence[Stored], offset: int, length: int) -> None:
        self._plan = plan
        self._chunks = chunks
        self._offset = offset
        self._open: OrderedDict[int, int] = OrderedDict()
        self.length = length

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        size = min(size, self.length - position)
        begin = self._offset + position
        blocks = []
        while size > 0:
            block = self._piece(begin, size)
            if not block:
                raise OSError("a chunk is shorter than it was")
            blocks.append(block)
            begin, size = begin + len(block), size - len(block)
        return b"".join(blocks)

    def _piece(self, begin: int, size: int) -> bytes:
        plan = self._plan
        if begin < len(plan.head):
            return plan.head[begin : begin + size]
        begin -= len(plan.head)
        number = bisect_right(plan.starts, begin) - 1
        following = plan.starts[number + 1] if number + 1 < len(plan.starts) else plan.data_bytes
        within = begin - plan.starts[number]
        descriptor = self._descriptor(plan.files[number])
        size = min(size, following - begin)
        return os.pread(descriptor, size, plan.offsets[number] + within)

    def _descriptor(self, file: int) -> int:
        descriptor = self._open.get(file)
        if descriptor is None:
            path = self._chunks[file].current_path()
            descriptor = self._open[file] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if len(self._open) > OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(file)
        return descriptor

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            os.close(self._open.popitem()[1])


class Exports:
    """Answers /export. A player asks for many ranges of one file: plans are kept for a while."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[object, ...], Plan] = OrderedDict()
        self._making = asyncio.Semaphore(MOST_MAKING)

    async def export(
        self, library: Library, place: Place, query: Query, request: Request
    ) -> Answer:
        """The file, or a range of it."""
        if query.get("bundle") == "1":
            return await bundles.export(library, place, query, request)
        from_us, to_us = library.window(query, 3_600_000_000)
        if to_us - from_us > MOST_US:
            raise Problem(400, "too-long", "at most seven days fit into one file")
        async with self._making:
            chunks = await library.stored(place, from_us, to_us, MOST_CHUNKS)
            plan = await self._plan(place, chunks, from_us, to_us)
        if plan is None:
            raise not_found()
        begin, end = byte_range(request.range, plan.length)
        headers = {
            "content-type": "video/mp4",
            "accept-ranges": "bytes",
            "cache-control": "private, max-age=60",
            "content-disposition": _disposition(place, from_us),
        }
        if request.range is not None:
            headers["content-range"] = f"bytes {begin}-{end - 1}/{plan.length}"
        body: Body = VirtualFile(plan, chunks, begin, end - begin)
        return Answer(200 if request.range is None else 206, headers, body)

    async def _plan(
        self, place: Place, chunks: list[Stored], from_us: int, to_us: int
    ) -> Plan | None:
        shape = hash(tuple((chunk.id, len(chunk.pieces)) for chunk in chunks))
        key = (place, from_us, to_us, shape)
        if key in self._plans:
            self._plans.move_to_end(key)
            return self._plans[key]
        try:
            plan = await asyncio.to_thread(make_plan, chunks, from_us, to_us)
        except MixedError as error:
            text = f"the camera changed its codec in this time ({error}): ask for it in parts"
            raise Problem(409, "codec-changed", text) from None
        except FileNotFoundError:
            raise Problem(404, "gone", "the oldest of it was deleted just now: ask again") from None
        except (OSError, MediaError) as error:
            raise Problem(500, "damaged", f"a recording can't be read: {error}") from None
        if plan is not None:
            self._keep(key, plan)
        return plan

    def _keep(self, key: tuple[object, ...], plan: Plan) -> None:
        self._plans[key] = plan
        while len(self._plans) > 1 and self._cached() > MOST_CACHED_BYTES:
            self._plans.popitem(last=False)

    def _cached(self) -> int:
        return sum(len(plan.head) + 20 * len(plan.starts) for plan in self._plans.values())


def _disposition(place: Place, from_us: int) -> str:
    """RFC 6266, with the encoding of RFC 8187 for names that are not ASCII."""
    moment = datetime.fromtimestamp(from_us / 1e6, UTC).strftime("%Y-%m-%d %H.%M.%S")
    name = f"{place.jid.partition('@')[0]} {moment} UTC.mp4"
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
