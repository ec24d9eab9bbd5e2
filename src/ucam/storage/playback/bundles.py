"""/cameras/JID/export?bundle=1: one film, the chunks as they were written, and what proves them."""

import asyncio
from collections.abc import Awaitable, Callable

from ucam.storage.database import Database
from ucam.storage.evidence import bundle, lines_of_chunks
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Problem, Request, not_found
from ucam.storage.playback.films import VirtualFile, etag_of
from ucam.storage.playback.library import Library, Stored
from ucam.storage.playback.progressive import Plan
from ucam.storage.playback.ranges import wanted_part
from ucam.storage.playback.tars import Film, Hashes, Slice, Tar

MOST_CHUNKS = 20_000
# Who plans a film: of which chunks, from when to when.
Planner = Callable[[Place, list[Stored], int, int], Awaitable[Plan | None]]


class Bundles:
    """Answers it."""

    def __init__(self, plan: Planner) -> None:
        self._plan = plan
        self._hashes = Hashes()

    async def export(
        self,
        library: Library,
        place: Place,
        chunks: list[Stored],
        window_us: tuple[int, int],
        name: str,
        request: Request,
    ) -> Answer:
        """The closed chunks of these, whole, and of the window a film of this name."""
        closed = [chunk for chunk in chunks if not chunk.is_open]
        if len(closed) > MOST_CHUNKS:
            raise Problem(400, "too-long", f"at most {MOST_CHUNKS} files fit into one bundle")
        ids = [chunk.id for chunk in closed]
        lines = await library.index.run(lines_of_chunks, place, ids)
        if not lines:
            raise not_found()
        gaps = await library.index.run(Database.gaps, place, *window_us)
        films, told = await self._films(place, closed, window_us, name)
        last_us = max(chunk.end_us for chunk in closed)
        sealer = library.recorder.space.sealer
        files = bundle(
            *(library.root, place, lines, gaps, sealer),
            window_us=window_us,
            # Not the time of asking: who asks for the rest of a file must get the rest of that one.
            made_us=last_us,
            made_for=request.who or "a player",
            film=told,
        )
        try:
            tar = await asyncio.to_thread(Tar, files, films, sealer, last_us // 1_000_000)
        except FileNotFoundError:
            raise Problem(404, "gone", "the oldest of it was deleted just now: ask again") from None
        part = wanted_part(request, tar.length, tar.etag)
        headers = {"cache-control": "private, no-cache", **part.headers}
        if part.status == 304:
            return Answer(304, headers)
        headers["content-type"] = "application/x-tar"
        file = f"{place.jid.partition('@')[0]}-evidence.tar"
        headers["content-disposition"] = f'attachment; filename="{file}"'
        return Answer(part.status, headers, Slice(tar, part.begin, part.end))

    async def _films(
        self, place: Place, chunks: list[Stored], window_us: tuple[int, int], name: str
    ) -> tuple[list[Film], str]:
        """The film, if all of it is of one codec, and what to say about it."""
        try:
            plan = await self._plan(place, chunks, *window_us)
        except Problem as problem:
            if problem.code != "codec-changed":
                raise
            return [], "none, for the camera changed its codec: the files play one by one"
        if plan is None:
            raise not_found()
        etag = await asyncio.to_thread(etag_of, plan, chunks)
        file = VirtualFile(plan, chunks, 0, plan.length)
        return [Film(name, file, etag, self._hashes)], name
