"""An ext4 in a file, whose power can be cut: nothing more reaches it, its journal isn't flushed."""

import fcntl
import itertools
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


class LoopDisk:
    """Mounted at `path`."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.path = folder / "mounts" / "disk"
        self._image = folder / "disk.img"
        self._megabytes = megabytes
        self._numbers = itertools.count()

    def make(self) -> None:
        """The file, its file system, the folder."""
        # Shared, so that it goes out of the mount namespaces that others have made meanwhile, too:
        # while one of them holds it, it would come back as it was, without power.
        mounts = str(self.path.parent)
        self.path.parent.mkdir()
        subprocess.run(["mount", "--bind", mounts, mounts], check=True)
        subprocess.run(["mount", "--make-shared", mounts], check=True)
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(self._megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._image)], check=True)

    def mount(self) -> None:
        """As a boot does: the journal is replayed."""
        self._mount()
        if not self._is_alive():
            # Some other mount namespace still has it, so it came back without power: a copy.
            self.unmount()
            copy = self._image.with_suffix(".again")
            shutil.copyfile(self._image, copy)
            self._image.unlink()
            self._image = copy.rename(copy.with_suffix(f".{next(self._numbers)}"))
            self._mount()
            assert self._is_alive()

    def _is_alive(self) -> bool:
        try:
            (self.path / "alive").touch()
            (self.path / "alive").unlink()
        except OSError:
            return False
        return True

    def _mount(self) -> None:
        checked = subprocess.run(
            ["e2fsck", "-p", str(self._image)], capture_output=True, check=False
        )
        assert checked.returncode < 4, checked.stdout  # less is: nothing, or mended
        subprocess.run(["mount", "-o", "loop", str(self._image), str(self.path)], check=True)

    def unmount(self) -> None:
        """Nothing may be open on it."""
        subprocess.run(["umount", str(self.path)], check=True)

    def cut(self) -> None:
        """Power off."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


@contextmanager
def loop_disk(folder: Path, megabytes: int = 96) -> Iterator[LoopDisk]:
    """Skips the test where no loop device can be had."""
    disk = LoopDisk(folder, megabytes)
    try:
        try:
            disk.make()
            disk.mount()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"this needs root, a loop device and ext4: {error}")
        yield disk
    finally:
        for path in (disk.path, disk.path.parent):
            # A bind mount of the same disk isn't told as one by `os.path.ismount`.
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
