"""/cameras and /cameras/JID/timeline: what is kept, and where nothing is and why."""

import asyncio
from typing import Any

from ucam.base.times import format_utc
from ucam.storage.database import Database
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Request, json_answer
from ucam.storage.playback.backlog import arrived_later
from ucam.storage.playback.library import DAY_US, Library, Query
from ucam.storage.playback.views import activity, bytes_per_us, merge, stretch, touches
from ucam.storage.records import Gap
from ucam.storage.writer import GAP_TOLERANCE_US

MOST_SPANNED = 50_000  # chunks of one timeline: a month of minutes


async def cameras(library: Library, request: Request) -> Answer:
    """Devices: first and last time, bytes, days."""
    kept = await library.index.run(Database.cameras)
    room = await asyncio.to_thread(library.recorder.space.room)
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
    for chunk in list(library.recorder.live.values()):
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
    entries = [
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
    return json_answer({"cameras": entries})


async def timeline(library: Library, place: Place, query: Query) -> Answer:
    """Spans, gaps with reasons, what is still on the device, activity."""
    from_us, to_us = library.window(query)
    chunks = await library.index.run(Database.chunks, place, from_us, to_us, MOST_SPANNED)
    gaps = await library.index.run(Database.gaps, place, from_us, to_us)
    changes = await library.index.run(Database.changes, place, from_us, to_us)
    closed_ids = {chunk.id for chunk in chunks}
    live = [
        chunk
        for chunk in library.live_of(place)
        if chunk.id not in closed_ids and chunk.id < to_us and chunk.end_us > from_us
    ]
    stretches = [(chunk.id, chunk.end_us) for chunk in chunks]
    stretches += [(chunk.id, chunk.end_us) for chunk in live]
    late = await library.index.run(arrived_later, place, chunks, (from_us, to_us))
    held = library.on_device(place)
    return json_answer(
        {
            "jid": place.jid,
            "from": format_utc(from_us),
            "to": format_utc(to_us),
            "spans": [stretch(*span) for span in merge(stretches, from_us, to_us)],
            "gaps": [
                {**stretch(gap.from_us, gap.to_us), "reason": gap.reason}
                for gap in await _with_present(library, place, gaps, (from_us, to_us))
                if gap.to_us > gap.from_us
            ],
            "protected": [
                stretch(span.from_us, span.to_us)
                for span in await library.index.run(Database.protected, place)
                if touches((span.from_us, span.to_us), from_us, to_us)
            ],
            "arrived-later": [
                stretch(*span) for span in merge(late, from_us, to_us) if span[1] > span[0]
            ],
            "on-device": [stretch(*held)] if held and touches(held, from_us, to_us) else [],
            "activity": activity(chunks, live, changes, from_us, to_us),
        }
    )


async def _with_present(
    library: Library, place: Place, gaps: list[Gap], window: tuple[int, int]
) -> list[Gap]:
    """The gaps told, and the one that lasts now: since the camera isn't recorded any more."""
    from_us, to_us = window
    if library.recorder.recording(place):
        return gaps
    end_us = await library.index.run(Database.end_us, place)
    until = min(to_us, library.now_us())
    if end_us is None or until - max(end_us, from_us) <= GAP_TOLERANCE_US:
        return gaps
    return [*gaps, Gap(max(end_us, from_us), until, library.recorder.why_away(place))]
