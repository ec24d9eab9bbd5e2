"""A chunk's file as `media.scan` wants it: mapped, so that little but heads is read."""

import mmap

from ucam.media import ContainerError
from ucam.media.scan import ChunkScan, scan


def scan_file(descriptor: int, size: int) -> ChunkScan:
    """What an open file of `size` bytes holds. Raises `MediaError`."""
    if not size:
        raise ContainerError("the file is empty")
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
        return scan(view)
