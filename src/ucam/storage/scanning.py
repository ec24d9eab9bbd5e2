"""A chunk's file as `media.scan` wants it: mapped, so that little but heads is read."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

from ucam.media import ContainerError
from ucam.media.scan import ChunkScan, scan


@contextmanager
def mapped(descriptor: int, size: int) -> Iterator[memoryview]:
    """The first `size` bytes of an open file. Raises `ContainerError` for none."""
    if not size:
        raise ContainerError("the file is empty")
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as file, memoryview(file) as view:
        yield view


def scan_file(descriptor: int, size: int) -> ChunkScan:
    """What an open file of `size` bytes holds. Raises `MediaError`."""
    with mapped(descriptor, size) as view:
        return scan(view)
