"""What a viewer may ask for: one table of resources, for the data channel and for HTTPS.

What a viewer may not see is answered exactly like what isn't there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from ucam.storage.playback import cameras, chunks, livefile, schema
from ucam.storage.playback.answers import (
    Answer,
    Method,
    Problem,
    Request,
    json_answer,
    not_found,
    problem,
)
from ucam.storage.playback.export import Exports
from ucam.storage.playback.hls import Hls
from ucam.storage.playback.library import Library, Query
from ucam.storage.playback.schema import Described

_WINDOW = ("from", "to")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, taken apart. `name`: the JID or the number in its path, as it was written."""

    request: Request
    name: str
    query: Query


@dataclass(frozen=True, slots=True)
class Route:
    """A resource: its description, and who answers."""

    described: Described
    answer: Callable[[Asked], Awaitable[Answer]]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of its path; what is in braces stands for anything."""
        return tuple(self.described.path.split("/")[1:])


class Handler:
    """Answers requests from what a `Library` has."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._exports = Exports()
        self._hls = Hls()
        self.routes = self._table()
        self._schema = schema.document([route.described for route in self.routes])

    def _table(self) -> tuple[Route, ...]:
        camera = "/cameras/{jid}"
        return (
            Route(
                Described("GET", "/cameras", "devices, first and last time, bytes, days", "json"),
                lambda asked: cameras.cameras(self._library, asked.request),
            ),
            Route(
                Described(
                    "GET", f"{camera}/timeline", "spans, gaps with reasons", "json", query=_WINDOW
                ),
                self._timeline,
            ),
            Route(
                Described("GET", f"{camera}/chunks", "fragment tables", "json", query=_WINDOW),
                self._chunks,
            ),
            Route(
                Described("GET", "/chunks/{id}", "a chunk's bytes", "video/mp4", ranges=True),
                self._chunk,
            ),
            Route(
                Described(
                    "GET",
                    f"{camera}/export",
                    "a window as one MP4 that starts at 0",
                    "video/mp4",
                    query=_WINDOW,
                    ranges=True,
                ),
                self._export,
            ),
            Route(
                Described(
                    "GET",
                    f"{camera}/hls.m3u8",
                    "a playlist for any player: past, growing or live",
                    "application/vnd.apple.mpegurl",
                    query=_WINDOW,
                ),
                self._hls_playlist,
            ),
            Route(
                Described(
                    "GET",
                    f"{camera}/live.mp4",
                    "what is recorded now, as an MP4 that doesn't end",
                    "video/mp4",
                    https=True,
                ),
                self._live,
            ),
            Route(Described("GET", "/schema", "this description", "json"), self._describe),
        )

    async def handle(self, request: Request) -> Answer:
        """One answer; never raises for what a viewer asks."""
        url = urlsplit(request.path)
        parts = [unquote(part) for part in url.path.split("/")[1:]]
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            route, name = self._find(parts, request.method)
            return await route.answer(Asked(request, name, query))
        except Problem as found:
            return problem(found.status, found.code, str(found))

    def _find(self, parts: list[str], method: Method) -> tuple[Route, str]:
        other = False
        for route in self.routes:
            if len(route.parts) != len(parts):
                continue
            named = [
                part for wanted, part in zip(route.parts, parts, strict=True) if wanted[:1] == "{"
            ]
            fixed = all(
                wanted[:1] == "{" or wanted == part
                for wanted, part in zip(route.parts, parts, strict=True)
            )
            if fixed and route.described.method == method:
                return route, next(iter(named), "")
            other = other or fixed
        if other:
            raise Problem(405, "bad-method", "not with this method")
        raise not_found()

    async def _timeline(self, asked: Asked) -> Answer:
        place = await self._library.place(asked.name, asked.request.locations)
        return await cameras.timeline(self._library, place, asked.query)

    async def _chunks(self, asked: Asked) -> Answer:
        place = await self._library.place(asked.name, asked.request.locations)
        return await chunks.chunks(self._library, place, asked.query)

    async def _chunk(self, asked: Asked) -> Answer:
        name = asked.name.removesuffix(".mp4")  # some players want to see it
        if not (name.isascii() and name.isdigit()):
            raise not_found()
        return await chunks.chunk_bytes(self._library, int(name[:19]), asked.request)

    async def _export(self, asked: Asked) -> Answer:
        place = await self._library.place(asked.name, asked.request.locations)
        return await self._exports.export(self._library, place, asked.query, asked.request)

    async def _hls_playlist(self, asked: Asked) -> Answer:
        place = await self._library.place(asked.name, asked.request.locations)
        return await self._hls.playlist(self._library, place, asked.query, asked.request)

    async def _live(self, asked: Asked) -> Answer:
        place = await self._library.place(asked.name, asked.request.locations)
        return livefile.live(self._library, place)

    async def _describe(self, _asked: Asked) -> Answer:
        return json_answer(self._schema)
