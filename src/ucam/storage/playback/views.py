"""How chunks, spans and activity are written as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from ucam.base.times import format_utc
from ucam.storage.changes import Change
from ucam.storage.playback.activity import Sample, curve
from ucam.storage.playback.tables import Table
from ucam.storage.records import Camera, Chunk
from ucam.storage.writer import GAP_TOLERANCE_US, LiveChunk, Piece


def merge(stretches: Iterable[tuple[int, int]], from_us: int, to_us: int) -> list[tuple[int, int]]:
    """Stretches that touch, as one; cut to the window."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(stretches):
        if merged and begin - merged[-1][1] <= GAP_TOLERANCE_US:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return [(max(begin, from_us), min(end, to_us)) for begin, end in merged]


def stretch(begin: int, end: int) -> dict[str, str]:
    """A stretch of time as JSON."""
    return {"from": format_utc(begin), "to": format_utc(end)}


def touches(held: tuple[int, int], from_us: int, to_us: int) -> bool:
    """Whether a stretch reaches into the window."""
    return held[0] < to_us and held[1] > from_us


def bytes_per_us(camera: Camera) -> float:
    """How fast a camera fills the disk while it is recorded."""
    return camera.totals.bytes / max(1, camera.totals.duration_us)


def activity(
    chunks: Sequence[Chunk],
    live: Sequence[LiveChunk],
    changes: Sequence[Change],
    from_us: int,
    to_us: int,
) -> dict[str, Any]:
    """The activity of a window as JSON."""
    samples = [
        sample
        for chunk in chunks
        for sample in Sample.of(chunk.id, chunk.duration_us, chunk.activity)
    ]
    for chunk in live:
        samples += Sample.of(chunk.id, chunk.duration_us, chunk.activity.pack())
    interval_s, values = curve(samples, from_us, to_us, changes)
    return {"interval": interval_s, "values": values}


def closed_entry(chunk: Chunk, table: Table) -> dict[str, Any]:
    """A closed chunk in /chunks."""
    return _entry(
        chunk.id,
        chunk.duration_us,
        chunk.bytes,
        (chunk.codecs, chunk.width, chunk.height),
        table.init_length,
        table.pieces,
        is_open=False,
    )


def live_entry(chunk: LiveChunk) -> dict[str, Any]:
    """The chunk being written in /chunks: what of it is durable."""
    track = chunk.track
    return _entry(
        chunk.id,
        chunk.duration_us,
        chunk.durable_bytes,
        (chunk.codecs, track.width, track.height),
        chunk.init_length,
        list(chunk.pieces),
        is_open=True,
    )


def _entry(
    chunk: int,
    duration_us: int,
    size: int,
    picture: tuple[str, int, int],
    init_length: int,
    pieces: Sequence[Piece],
    *,
    is_open: bool,
) -> dict[str, Any]:
    codecs, width, height = picture
    return {
        "id": chunk,
        "start": format_utc(chunk),
        "duration": round(duration_us / 1e6, 6),
        "bytes": size,
        "codecs": codecs,
        "width": width,
        "height": height,
        "open": is_open,
        "init": [0, init_length],
        "fragments": [
            [piece.offset, piece.size, piece.start_us, piece.duration_us, int(piece.keyframe)]
            for piece in pieces
        ],
    }
