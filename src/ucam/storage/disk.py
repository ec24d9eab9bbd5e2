"""The few things done to the disk, in one place, so that a test can see their order or fail one.

All of it blocks: it runs in worker threads, never on the event loop.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ucam.base.files import sync_directory

FOLDER_MODE = 0o750
FILE_MODE = 0o640


class Disk:
    """The real disk."""

    def make_folders(self, root: Path, relative: Path) -> int:
        """Make `relative` below `root`, each new name durable; returns how many were new."""
        new = 0
        here = root
        for part in relative.parts:
            parent, here = here, here / part
            try:
                here.mkdir(mode=FOLDER_MODE)
            except FileExistsError:
                continue
            sync_directory(parent)
            new += 1
        return new

    def create(self, path: Path) -> int:
        """A new file's descriptor; raises `FileExistsError`."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        """Append by one `writev`; returns how many bytes it took."""
        return os.writev(descriptor, buffers)

    def overwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write over bytes that are there."""
        while data:
            done = os.pwrite(descriptor, data, offset)
            data, offset = data[done:], offset + done

    def sync(self, descriptor: int) -> None:
        """Content and size are durable when this returns."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(descriptor, size)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its last name."""
        os.rename(old, new)

    def sync_folder(self, path: Path) -> None:
        """The names in a folder are durable when this returns."""
        sync_directory(path)

    def unlink(self, path: Path) -> None:
        """Delete a file; raises `FileNotFoundError`."""
        path.unlink()

    def remove_if_empty(self, path: Path) -> bool:
        """Delete a folder that holds nothing; whether it was so."""
        try:
            path.rmdir()
        except OSError:
            return False
        return True

    def free(self, path: Path) -> int:
        """Bytes that may still be written to the disk under `path`."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize
