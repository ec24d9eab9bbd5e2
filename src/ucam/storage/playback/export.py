"""/cameras/JID/export: a window as one MP4 that any player, phone or messenger takes.

The file exists nowhere: its head is computed from the fragments' own heads, the rest is read from
the chunks while it is sent, from whatever byte on.
"""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from urllib.parse import quote

from ucam.media import MediaError
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Body, Problem, Request, not_found
from ucam.storage.playback.bundles import Bundles
from ucam.storage.playback.films import VirtualFile, etag_of, make_plan
from ucam.storage.playback.library import Library, Query, Stored
from ucam.storage.playback.progressive import MixedError, Plan
from ucam.storage.playback.ranges import wanted_part

MOST_US = 7 * 86_400_000_000
MOST_CHUNKS = 200_000
MOST_CACHED_BYTES = 64 << 20
MOST_MAKING = 2  # plans computed at a time; who comes later waits


class Exports:
    """Answers /export. A player asks for many ranges of one file: plans are kept for a while."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[object, ...], Plan] = OrderedDict()
        self._making = asyncio.Semaphore(MOST_MAKING)
        self._bundles = Bundles(self._plan)

    async def export(
        self, library: Library, place: Place, query: Query, request: Request
    ) -> Answer:
        """The file, or a range of it."""
        from_us, to_us = library.window(query, 3_600_000_000)
        if to_us - from_us > MOST_US:
            raise Problem(400, "too-long", "at most seven days fit into one file")
        chunks = await library.stored(place, from_us, to_us, MOST_CHUNKS)
        name = _name(place, from_us)
        if query.get("bundle") == "1":
            window_us = (from_us, to_us)
            return await self._bundles.export(library, place, chunks, window_us, name, request)
        plan = await self._plan(place, chunks, from_us, to_us)
        if plan is None:
            raise not_found()
        part = wanted_part(request, plan.length, await asyncio.to_thread(etag_of, plan, chunks))
        headers = {"cache-control": "private, max-age=60", **part.headers}
        if part.status == 304:
            return Answer(304, headers)
        headers["content-type"] = "video/mp4"
        headers["content-disposition"] = _disposition(name)
        body: Body = VirtualFile(plan, chunks, part.begin, part.end - part.begin)
        return Answer(part.status, headers, body)

    async def _plan(
        self, place: Place, chunks: list[Stored], from_us: int, to_us: int
    ) -> Plan | None:
        shape = hash(tuple((chunk.id, len(chunk.pieces)) for chunk in chunks))
        key = (place, from_us, to_us, shape)
        if key in self._plans:
            self._plans.move_to_end(key)
            return self._plans[key]
        try:
            async with self._making:
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


def _name(place: Place, from_us: int) -> str:
    moment = datetime.fromtimestamp(from_us / 1e6, UTC).strftime("%Y-%m-%d %H.%M.%S")
    return f"{place.jid.partition('@')[0]} {moment} UTC.mp4"


def _disposition(name: str) -> str:
    """RFC 6266, with the encoding of RFC 8187 for names that are not ASCII."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
