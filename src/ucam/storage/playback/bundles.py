"""/cameras/JID/export?bundle=1: a tar of chunks and what proves them, made while it is sent."""

import os
import tarfile
from bisect import bisect_right
from pathlib import Path

from ucam.storage.database import Database
from ucam.storage.evidence import Bundle, bundle, lines_of_chunks
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Problem, Request, byte_range, not_found
from ucam.storage.playback.library import Library, Query

MOST_CHUNKS = 20_000
HOUR_US = 3_600_000_000
_BLOCK = 512


class Tar:
    """A tar file that exists nowhere; its files are opened one at a time."""

    def __init__(self, files: Bundle, mtime_s: int) -> None:
        self._parts: list[bytes | tuple[Path, int]] = []
        self._starts: list[int] = []
        self.length = 0
        self._open: tuple[Path, int] | None = None
        for name, content in files.entries:
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            info = tarfile.TarInfo(f"evidence/{name}")
            info.size, info.mtime = size, mtime_s
            self._add(info.tobuf(tarfile.PAX_FORMAT))
            if isinstance(content, bytes):
                self._add(content)
            elif size:
                self._starts.append(self.length)
                self._parts.append((content, size))
                self.length += size
            self._add(bytes(-size % _BLOCK))
        self._add(bytes(2 * _BLOCK))

    def _add(self, data: bytes) -> None:
        if data:
            self._starts.append(self.length)
            self._parts.append(data)
            self.length += len(data)

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        number = bisect_right(self._starts, position) - 1
        part, within = self._parts[number], position - self._starts[number]
        if isinstance(part, bytes):
            return part[within : within + size]
        path, length = part
        if self._open is None or self._open[0] != path:
            self.close()
            self._open = (path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return os.pread(self._open[1], min(size, length - within), within)

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None


class Slice:
    """A range of a body."""

    def __init__(self, whole: Tar, begin: int, end: int) -> None:
        self._whole = whole
        self._begin = begin
        self.length = end - begin

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        return self._whole.read(self._begin + position, min(size, self.length - position))

    def close(self) -> None:
        """As `Body` says."""
        self._whole.close()


async def export(library: Library, place: Place, query: Query, request: Request) -> Answer:
    """The closed chunks that touch the window, whole."""
    from_us, to_us = library.window(query, HOUR_US)
    chunks = await library.index.run(Database.chunks, place, from_us, to_us, MOST_CHUNKS)
    if len(chunks) == MOST_CHUNKS:
        raise Problem(400, "too-long", f"at most {MOST_CHUNKS} files fit into one bundle")
    ids = [chunk.id for chunk in chunks]
    lines = await library.index.run(lines_of_chunks, place, ids)
    if not lines:
        raise not_found()
    gaps = await library.index.run(Database.gaps, place, from_us, to_us)
    last_us = max(chunk.end_us for chunk in chunks)
    files = bundle(
        *(library.root, place, chunks, lines, gaps, library.recorder.space.sealer),
        window_us=(from_us, to_us),
        # Not the time of asking: who asks for the rest of a file must get the rest of that one.
        made_us=last_us,
        made_for=request.who or "a player",
    )
    try:
        tar = Tar(files, last_us // 1_000_000)
    except FileNotFoundError:
        raise Problem(404, "gone", "the oldest of it was deleted just now: ask again") from None
    begin, end = byte_range(request.range, tar.length)
    name = f"{place.jid.partition('@')[0]}-evidence.tar"
    headers = {
        "content-type": "application/x-tar",
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "content-disposition": f'attachment; filename="{name}"',
    }
    if request.range is not None:
        headers["content-range"] = f"bytes {begin}-{end - 1}/{tar.length}"
    return Answer(200 if request.range is None else 206, headers, Slice(tar, begin, end))
