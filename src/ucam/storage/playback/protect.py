"""/cameras/JID/protect: spans that rotation leaves alone. People may set them, players may look."""

import asyncio
import logging
import sqlite3
from typing import Any

from ucam.base.times import format_utc
from ucam.storage.database import Database
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Problem, Request, json_answer, not_found
from ucam.storage.playback.library import Library, Query
from ucam.storage.playback.views import stretch
from ucam.storage.protection import Protected, TooMuch

_log = logging.getLogger(__name__)


async def listed(library: Library, place: Place) -> Answer:
    """The camera's spans; bytes of all cameras that are protected, and how many may be."""
    return json_answer(await _content(library, place))


async def _content(library: Library, place: Place) -> dict[str, Any]:
    index = library.index
    spans = await index.run(Database.protected, place)
    return {
        "protected": [
            {
                **stretch(span.from_us, span.to_us),
                "by": span.who,
                "since": format_utc(span.since_us),
            }
            for span in spans
        ],
        "bytes": await index.run(Database.protected_bytes, place),
        "total": await index.run(Database.protected_bytes),
        "limit": await asyncio.to_thread(library.recorder.space.protectable),
    }


async def protect(library: Library, place: Place, query: Query, request: Request) -> Answer:
    """Protect the window; what is recorded in it must be there already."""
    from_us, to_us = _window(library, query, request)
    now_us = library.now_us()
    if to_us > now_us:
        raise Problem(400, "bad-time", "what is yet to come can't be protected")
    if not await library.stored(place, from_us, to_us, 1):
        raise not_found()
    span = Protected(from_us, to_us, request.who, now_us)
    try:
        await asyncio.to_thread(library.recorder.space.protect, place, span)
    except TooMuch as error:
        raise Problem(409, "too-much", str(error)) from None
    except (OSError, sqlite3.Error) as error:
        raise _disk(error) from None
    _log.info("%s protects %s", request.who, _words(place, from_us, to_us))
    return await listed(library, place)


async def release(library: Library, place: Place, query: Query, request: Request) -> Answer:
    """End the protection of the window."""
    from_us, to_us = _window(library, query, request)
    try:
        found = await library.index.run(Database.release, place, from_us, to_us)
    except (OSError, sqlite3.Error) as error:
        raise _disk(error) from None
    if not found:
        raise not_found()
    _log.info("%s releases %s", request.who, _words(place, from_us, to_us))
    return await listed(library, place)


def _disk(error: Exception) -> Problem:
    return Problem(503, "disk", f"the disk doesn't take it now, nothing was changed: {error}")


def _window(library: Library, query: Query, request: Request) -> tuple[int, int]:
    if request.role != "user":
        raise Problem(403, "denied", "a player only looks")
    if "from" not in query or "to" not in query:
        raise Problem(400, "bad-time", "say from and to")
    return library.window(query)


def _words(place: Place, from_us: int, to_us: int) -> str:
    return f"{place.jid} from {format_utc(from_us)} to {format_utc(to_us)}"
