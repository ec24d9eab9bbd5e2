"""/cameras/JID/chunks and /chunks/ID: fragment tables and bytes."""

import asyncio
import os
from pathlib import Path

from ucam.storage.database import Database
from ucam.storage.layout import Place
from ucam.storage.playback.answers import (
    Answer,
    FileSlice,
    Request,
    json_answer,
    not_found,
)
from ucam.storage.playback.library import Library, Query
from ucam.storage.playback.ranges import Part, wanted_part
from ucam.storage.playback.views import closed_entry, live_entry

MOST_CHUNKS = 400  # with their fragments; the answer says "more" when there are more


async def chunks(library: Library, place: Place, query: Query) -> Answer:
    """The chunks of a window with codec strings and fragment tables."""
    from_us, to_us = library.window(query)
    kept = await library.index.run(Database.chunks, place, from_us, to_us, MOST_CHUNKS + 1)
    tables = await library.tables(kept[:MOST_CHUNKS])
    entries = [closed_entry(chunk, table) for chunk, table in tables]
    ids = {chunk.id for chunk in kept}
    for live in library.live_of(place):
        if live.id not in ids and live.id < to_us and live.end_us > from_us:
            entries.append(live_entry(live))
    return json_answer({"chunks": entries, "more": len(kept) > MOST_CHUNKS})


async def chunk_bytes(library: Library, number: int, request: Request) -> Answer:
    """Bytes of a chunk; of the open one what is durable."""
    # Twice: between looking at the open chunks and at the index it may be closed.
    for _ in range(2):
        live = library.recorder.live.get(number)
        if live is not None and live.place.location in request.locations:
            # Its end changes, and so does its beginning when it is closed: it has no tag.
            part = wanted_part(request, live.durable_bytes, grows=True)
            found = await _open(live.path, part, "no-store")
            if found is not None:
                return found
        chunk = await library.index.run(Database.chunk, number)
        if chunk is not None and chunk.place.location in request.locations:
            part = wanted_part(request, chunk.bytes, f'"{chunk.id:x}-{chunk.bytes:x}"')
            found = await _open(library.path(chunk), part, "private, max-age=3600")
            if found is not None:
                return found
    raise not_found()


async def _open(path: Path, part: Part, cached: str) -> Answer | None:
    """Part of a file; None when it isn't there (any more)."""
    headers = {"cache-control": cached, **part.headers}
    if part.status == 304:
        return Answer(304, headers)
    try:
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    headers["content-type"] = "video/mp4"
    return Answer(part.status, headers, FileSlice(descriptor, part.begin, part.end - part.begin))
