"""A film: fragments of chunks as one progressive MP4 that exists nowhere."""

import hashlib
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence

from ucam.storage.playback.heads import fragment_at, read_tracks
from ucam.storage.playback.library import Stored
from ucam.storage.playback.progressive import Plan, Progressive

OPEN_FILES = 4


def _needed(chunk: Stored, from_us: int, to_us: int) -> tuple[int, int]:
    """The bytes [begin, end) of a chunk that show the window: from the keyframe at or before its
    begin, if the chunk has one.
    """
    first = 0
    for number, piece in enumerate(chunk.pieces):
        if chunk.id + piece.start_us > from_us and number:
            break
        if piece.keyframe:
            first = number
    begin = chunk.pieces[first].offset
    inside = (p.offset + p.size for p in chunk.pieces if chunk.id + p.start_us < to_us)
    return begin, max(inside, default=begin)


def make_plan(chunks: Sequence[Stored], from_us: int, to_us: int) -> Plan | None:
    """Read the heads of all fragments. Blocks. Raises `OSError` or `MediaError`."""
    made = Progressive(from_us, to_us)
    for number, chunk in enumerate(chunks):
        position, end = _needed(chunk, from_us, to_us)
        descriptor = os.open(chunk.current_path(), os.O_RDONLY | os.O_CLOEXEC)
        try:
            tracks = read_tracks(os.pread(descriptor, chunk.init_length, 0))
            made.begin(tracks)
            while position < end:
                fragment = fragment_at(descriptor, position, tracks)
                made.add(number, fragment)
                position = fragment.end
        finally:
            os.close(descriptor)
    return made.finish()


class VirtualFile:
    """Bytes of a plan's file; opens the chunks as they are needed, a few at a time."""

    def __init__(self, plan: Plan, chunks: Sequence[Stored], offset: int, length: int) -> None:
        self._plan = plan
        self._chunks = chunks
        self._offset = offset
        self._open: OrderedDict[int, int] = OrderedDict()
        self.length = length

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        size = min(size, self.length - position)
        begin = self._offset + position
        blocks = []
        while size > 0:
            block = self._piece(begin, size)
            if not block:
                raise OSError("a chunk is shorter than it was")
            blocks.append(block)
            begin, size = begin + len(block), size - len(block)
        return b"".join(blocks)

    def _piece(self, begin: int, size: int) -> bytes:
        plan = self._plan
        if begin < len(plan.head):
            return plan.head[begin : begin + size]
        begin -= len(plan.head)
        number = bisect_right(plan.starts, begin) - 1
        following = plan.starts[number + 1] if number + 1 < len(plan.starts) else plan.data_bytes
        within = begin - plan.starts[number]
        descriptor = self._descriptor(plan.files[number])
        size = min(size, following - begin)
        return os.pread(descriptor, size, plan.offsets[number] + within)

    def _descriptor(self, file: int) -> int:
        descriptor = self._open.get(file)
        if descriptor is None:
            path = self._chunks[file].current_path()
            descriptor = self._open[file] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if len(self._open) > OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(file)
        return descriptor

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            os.close(self._open.popitem()[1])


def etag_of(plan: Plan, chunks: Sequence[Stored]) -> str:
    """The same only for the same bytes: what stands in the head, and where the rest comes from."""
    digest = hashlib.sha256(plan.head)
    for part in (plan.files, plan.offsets):
        digest.update(part.tobytes())
    digest.update(repr([chunk.id for chunk in chunks]).encode())
    return f'"{digest.hexdigest()[:32]}"'
