"""/cameras/JID/live.mp4: what is recorded now, as one MP4 that doesn't end.

The init segment of the chunk that is being written, then each fragment as soon as it is durable,
with times that begin with 0 (players show 56 years otherwise). It ends when the camera's tracks
change, or when nothing comes any more: players ask again.
"""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from fractions import Fraction

from ucam.media.boxes import boxes
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Endless, Problem
from ucam.storage.playback.heads import FragmentHead, TrackHead, read_fragment, read_tracks
from ucam.storage.playback.library import Library, current_path
from ucam.storage.playback.progressive import GAP_S
from ucam.storage.writer import LiveChunk, Piece

LOOK_S = 0.1
# A camera that comes back within this time goes on in the same file.
PATIENCE_S = 15.0


class Rebase:
    """Moves fragments to a time line that begins with 0 and has no gaps."""

    def __init__(self, tracks: tuple[TrackHead, ...]) -> None:
        self._scales = {track.id: track.timescale for track in tracks}
        pictures = [track.id for track in tracks if track.kind == b"vide"]
        self._clock = (pictures or [track.id for track in tracks])[0]
        self._offset: Fraction | None = None
        self._end: int | None = None
        self._sequence = 0

    def move(self, data: bytes, head: FragmentHead) -> bytes:
        """A fragment (prft, moof, mdat) with other times and its number in the stream."""
        clock = next((run for run in head.runs if run.track == self._clock), None)
        if clock is not None:
            scale = self._scales[self._clock]
            if self._offset is None or self._end is None:
                begins = [Fraction(run.dts, self._scales[run.track]) for run in head.runs]
                self._offset = min(begins)
            elif abs(clock.dts - self._end) > GAP_S * scale:
                self._offset += Fraction(clock.dts - self._end, scale)
            self._end = clock.dts + sum(clock.durations)
        self._sequence += 1
        return self._patched(data)

    def _patched(self, data: bytes) -> bytes:
        offset = self._offset or Fraction(0)
        patched = bytearray(data)
        with memoryview(data) as view:
            moof = next(found for found in boxes(view, 0, len(view)) if found.kind == b"moof")
            for inside in boxes(view, moof.body, moof.end):
                if inside.kind == b"mfhd":
                    struct.pack_into(">I", patched, inside.body + 4, self._sequence)
                if inside.kind != b"traf":
                    continue
                traf = {found.kind: found for found in boxes(view, inside.body, inside.end)}
                (track,) = struct.unpack_from(">I", view, traf[b"tfhd"].body + 4)
                at = traf[b"tfdt"].body
                form = ">Q" if view[at] else ">I"
                (dts,) = struct.unpack_from(form, view, at + 4)
                moved = max(0, dts - round(offset * self._scales[track]))
                struct.pack_into(form, patched, at + 4, moved)
            # Without what stands before the moof: its time is none of this file's.
            return bytes(patched[moof.start :])


def newest(library: Library, place: Place, after: int = 0) -> LiveChunk | None:
    """The chunk of a camera that is being written, if it began after another one."""
    found = [chunk for chunk in library.live_of(place) if chunk.id > after]
    return max(found, key=lambda chunk: chunk.id, default=None)


async def live(library: Library, place: Place) -> Answer:
    """The endless file."""

    async def look() -> LiveChunk | None:
        return newest(library, place)

    chunk = await library.once_recorded(place, look)
    if chunk is None:
        raise Problem(409, "not-recorded", "this camera is not being recorded now")
    headers = {"content-type": "video/mp4", "cache-control": "no-store"}
    return Answer(200, headers, Endless(_follow(library, place, chunk)))


async def _follow(library: Library, place: Place, chunk: LiveChunk) -> AsyncIterator[bytes]:
    """Init segment and fragments. One fragment is in memory at a time: a player that takes them
    slowly reads from the disk later, and one that is a chunk behind goes on with the newest.
    """
    loop = asyncio.get_running_loop()
    first = max((n for n, piece in enumerate(chunk.pieces) if piece.keyframe), default=0)
    tracks: tuple[TrackHead, ...] | None = None
    rebase: Rebase | None = None
    while True:
        descriptor = await asyncio.to_thread(_open, chunk)
        try:
            init = await asyncio.to_thread(os.pread, descriptor, chunk.init_length, 0)
            found = read_tracks(init)
            if tracks is None:
                tracks, rebase = found, Rebase(found)
                yield init
            elif found != tracks:
                return
            assert rebase is not None
            async for piece in _pieces(library, chunk, first):
                data = await asyncio.to_thread(os.pread, descriptor, piece.size, piece.offset)
                head = read_fragment(data, 0, tracks)
                if head is not None:
                    yield rebase.move(data, head)
        finally:
            os.close(descriptor)
        until_s = loop.time() + PATIENCE_S
        while (following := newest(library, place, chunk.id)) is None:
            if loop.time() > until_s:
                return
            await asyncio.sleep(LOOK_S)
        chunk, first = following, 0


def _open(chunk: LiveChunk) -> int:
    try:
        return os.open(chunk.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # closed just now
        return os.open(current_path(chunk.path), os.O_RDONLY | os.O_CLOEXEC)


async def _pieces(library: Library, chunk: LiveChunk, first: int) -> AsyncIterator[Piece]:
    """The fragments of a chunk from number `first` on, those to come included."""
    loop = asyncio.get_running_loop()
    number, until_s = first, loop.time() + PATIENCE_S
    while loop.time() < until_s:
        # Looked at before the pieces: what is added just before closing is not missed.
        is_open = chunk.id in library.recorder.live
        while number < len(chunk.pieces):
            yield chunk.pieces[number]
            number, until_s = number + 1, loop.time() + PATIENCE_S
        if not is_open:
            return
        await asyncio.sleep(LOOK_S)
