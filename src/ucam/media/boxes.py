"""MP4 boxes (ISO/IEC 14496-12 §4.2): building them and walking over them."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ucam.media.errors import ContainerError

_HEAD = struct.Struct(">I4s")
_LARGE = struct.Struct(">Q")


def box(kind: bytes, *content: bytes) -> bytes:
    """A box around its content."""
    size = 8 + sum(map(len, content))
    if size > 0xFFFFFFFF:
        raise ContainerError(f"a {kind!r} box of {size} bytes")
    return b"".join((_HEAD.pack(size, kind), *content))


def full_box(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, (version << 24 | flags).to_bytes(4), *content)


class Box(NamedTuple):
    """A box in a buffer. `start`: of its head; `body`: of its content; `end`: behind it."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(data: memoryview, start: int, end: int) -> Iterator[Box]:
    """The whole boxes between two offsets; stops where a box reaches beyond the end, or where its
    size makes no sense. Boxes "to the end of the file" (size 0) are not whole.
    """
    position = start
    while position + 8 <= end:
        size, kind = _HEAD.unpack_from(data, position)
        body = position + 8
        if size == 1 and body + 8 <= end:
            (size,) = _LARGE.unpack_from(data, body)
            body += 8
        if size < body - position or position + size > end:
            return
        yield Box(kind, position, body, position + size)
        position += size


def children(data: memoryview, parent: Box, skip: int = 0) -> dict[bytes, Box]:
    """The boxes inside a box, the first of each kind. `skip`: bytes of its own fields.
    Raises `ContainerError` when they don't fill it.
    """
    found: dict[bytes, Box] = {}
    reached = parent.body + skip
    for child in boxes(data, reached, parent.end):
        found.setdefault(child.kind, child)
        reached = child.end
    if reached != parent.end:
        raise ContainerError(f"{parent.kind!r} box at byte {parent.start} is broken")
    return found


def descend(data: memoryview, parent: Box, *kinds: bytes) -> Box:
    """The box at a path of kinds; raises `ContainerError` when one is missing."""
    for kind in kinds:
        inside = children(data, parent)
        if kind not in inside:
            raise ContainerError(f"no {kind!r} in the {parent.kind!r} box at byte {parent.start}")
        parent = inside[kind]
    return parent
