"""Up to where the sound beside a device's pictures is stored.

Pictures have numbers, sound has none. A camera that connects anew sends the sound behind its last
confirmed picture again, for it can't know how much of that was stored with it; what was is known
here, by its time.
"""

import asyncio
import logging
import os
from pathlib import Path

from ucam.media import MediaError
from ucam.media.scan import audio_samples, scan
from ucam.storage.database import Database
from ucam.storage.index import Index
from ucam.storage.layout import Place, chunk_path
from ucam.storage.records import Chunk
from ucam.storage.scanning import mapped

_log = logging.getLogger(__name__)

LAST = 1 << 62  # above every chunk's id
# What is sent again has its time in other ticks, and is rounded otherwise: far less than a frame.
ROUNDING_90K = 90


class Heard:
    """The last stored frame of sound of each device, and the run it belongs to."""

    def __init__(self, root: Path, index: Index) -> None:
        self._root = root
        self._index = index
        self._last: dict[Place, tuple[str, int | None]] = {}

    def note(self, place: Place, run: str, begin_90k: int) -> None:
        """A frame that begins then is durable now. Called in the threads that write."""
        self._last[place] = run, begin_90k

    async def until(self, place: Place, run: str) -> int | None:
        """In 1/90000 s: sound of that run that begins up to then is stored. None: none is."""
        if place not in self._last:
            chunk = await self._index.run(Database.newest_before, place, LAST)
            if chunk is None:
                return None
            # Two codecs are those of pictures and of sound beside them.
            has_sound = "," in chunk.codecs
            last_90k = await asyncio.to_thread(self._read, chunk) if has_sound else None
            self._last.setdefault(place, (chunk.run, last_90k))
        known, last_90k = self._last[place]
        return last_90k + ROUNDING_90K if known == run and last_90k is not None else None

    def _read(self, chunk: Chunk) -> int | None:
        """When the last frame of sound of a closed chunk begins."""
        path = self._root / chunk_path(chunk.place, chunk.id, chunk.duration_us)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                with mapped(descriptor, os.fstat(descriptor).st_size) as view:
                    with_sound = [each for each in scan(view).fragments if each.audio]
                    return audio_samples(view, with_sound[-1])[-1].dts_90k if with_sound else None
            finally:
                os.close(descriptor)
        except (OSError, MediaError) as error:
            _log.warning("%s: how much sound it holds can't be read: %s", path, error)
            return None
