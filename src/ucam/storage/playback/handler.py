"""What a viewer may ask for: one table of resources, for the data channel and for HTTPS.

What a viewer may not see is answered exactly like what isn't there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from ucam.storage.layout import Place
from ucam.storage.playback import cameras, chunks, livefile, metrics, protect, schema
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
from ucam.storage.playback.thumbnails import Thumbnails

_CAMERA = "/cameras/{jid}"


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
        self._thumbnails = Thumbnails()
        self.routes = self._table()
        self._schema = schema.document([route.described for route in self.routes])

    def _table(self) -> tuple[Route, ...]:
        library, window = self._library, ("from", "to")
        camera = self._of_camera

        def described(method: Method, path: str, summary: str, **more: Any) -> Described:
            return Described(method, path, summary, **{"gives": "json", "query": window, **more})

        return (
            Route(
                described("GET", "/cameras", "devices, first and last time, bytes, days", query=()),
                lambda asked: cameras.cameras(library, asked.request),
            ),
            Route(
                described("GET", f"{_CAMERA}/timeline", "spans, gaps with reasons, activity"),
                camera(lambda place, asked: cameras.timeline(library, place, asked.query)),
            ),
            Route(
                described("GET", f"{_CAMERA}/chunks", "chunks with their fragment tables"),
                camera(lambda place, asked: chunks.chunks(library, place, asked.query)),
            ),
            Route(
                described(
                    "GET",
                    "/chunks/{id}",
                    "a chunk's bytes",
                    gives="video/mp4",
                    ranges=True,
                    query=(),
                ),
                self._chunk,
            ),
            Route(
                described(
                    "GET",
                    f"{_CAMERA}/thumbnails",
                    "which sheets show the window, and when their pictures were taken",
                    query=(*window, "interval"),
                ),
                camera(
                    lambda place, asked: self._thumbnails.thumbnails(library, place, asked.query)
                ),
            ),
            Route(
                described(
                    "GET",
                    f"{_CAMERA}/sheet",
                    "sixty small pictures in one",
                    gives="image/webp",
                    query=("from", "interval"),
                ),
                camera(
                    lambda place, asked: self._thumbnails.sheet(
                        library, place, asked.query, asked.request
                    )
                ),
            ),
            Route(
                described(
                    "GET",
                    f"{_CAMERA}/export",
                    "a window as one MP4 that starts at 0",
                    gives="video/mp4",
                    query=(*window, "bundle"),
                    ranges=True,
                ),
                camera(
                    lambda place, asked: self._exports.export(
                        library, place, asked.query, asked.request
                    )
                ),
            ),
            Route(
                described(
                    "GET",
                    f"{_CAMERA}/hls.m3u8",
                    "a playlist for any player: past, growing or live",
                    gives="application/vnd.apple.mpegurl",
                ),
                camera(
                    lambda place, asked: self._hls.playlist(
                        library, place, asked.query, asked.request
                    )
                ),
            ),
            Route(
                described(
                    "GET",
                    f"{_CAMERA}/live.mp4",
                    "what is recorded now, as an MP4 that doesn't end",
                    gives="video/mp4",
                    query=(),
                    https=True,
                ),
                camera(lambda place, _asked: livefile.live(library, place)),
            ),
            Route(
                described(
                    "GET", f"{_CAMERA}/protect", "spans that rotation leaves alone", query=()
                ),
                camera(lambda place, _asked: protect.listed(library, place)),
            ),
            Route(
                described("PUT", f"{_CAMERA}/protect", "keep a window from rotation"),
                camera(
                    lambda place, asked: protect.protect(library, place, asked.query, asked.request)
                ),
            ),
            Route(
                described("DELETE", f"{_CAMERA}/protect", "leave a window to rotation again"),
                camera(
                    lambda place, asked: protect.release(library, place, asked.query, asked.request)
                ),
            ),
            Route(
                described("GET", "/metrics", "for Prometheus", gives=metrics.MEDIA_TYPE, query=()),
                lambda asked: metrics.metrics(library, asked.request),
            ),
            Route(described("GET", "/schema", "this description", query=()), self._describe),
        )

    def _of_camera(
        self, answer: Callable[[Place, Asked], Awaitable[Answer]]
    ) -> Callable[[Asked], Awaitable[Answer]]:
        """Answers only to who may see the camera in the path."""

        async def answered(asked: Asked) -> Answer:
            place = await self._library.place(asked.name, asked.request.locations)
            return await answer(place, asked)

        return answered

    async def handle(self, request: Request) -> Answer:
        """One answer; never raises for what a viewer asks."""
        path, _, asked_with = request.path.partition("?")  # `urlsplit` raises for some
        parts = [unquote(part) for part in path.split("/")[1:]]
        query = {name: values[-1] for name, values in parse_qs(asked_with).items()}
        try:
            route, name = self._find(parts, request.method)
            return await route.answer(Asked(request, name, query))
        except Problem as found:
            answer = problem(found.status, found.code, str(found))
            answer.headers.update(found.headers)
            return answer

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

    async def _chunk(self, asked: Asked) -> Answer:
        name = asked.name.removesuffix(".mp4")  # some players want to see it
        if not (name.isascii() and name.isdigit()):
            raise not_found()
        return await chunks.chunk_bytes(self._library, int(name[:19]), asked.request)

    async def _describe(self, _asked: Asked) -> Answer:
        return json_answer(self._schema)
