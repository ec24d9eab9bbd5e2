"""Two networks and a wire between them that delays, loses, narrows, or is cut.

Two network namespaces, in each a TUN device, and a thread that carries packets from one to the
other through a `Link`. (Kernels without netem have no other way.)
"""

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.network import Network, network
from support.link import Link

NEAR, FAR = "10.77.0.1", "10.77.0.2"
_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
_CLONE_NEWNET = 0x40000000
_PACKET = 2048
_MAY_WAIT = 0.1
TCP = 6


@contextmanager
def inside(there: Network) -> Iterator[None]:
    """This thread, and what it starts, is in that network meanwhile."""
    with Path("/proc/thread-self/ns/net").open() as here:
        _enter(Path("/run/netns", there.name))
        try:
            yield
        finally:
            _enter(Path(f"/proc/self/fd/{here.fileno()}"))


def _enter(path: Path) -> None:
    with path.open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class Line:
    """`there`: from near to far; `back`: the other way. Both may be changed at any time."""

    def __init__(self, near: Network, far: Network) -> None:
        self.near, self.far = near, far
        self.there, self.back = Link(0.001), Link(0.001)
        # What may pass at all, by the packet's bytes (IPv4).
        self.passes: Callable[[bytes], bool] = lambda _packet: True
        self._ends = _device(near, NEAR, FAR), _device(far, FAR, NEAR)
        self._over = False
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run)

    def set(self, **values: float | None) -> None:
        """The same for both ways, see `Link`."""
        for link in (self.there, self.back):
            for name, value in values.items():
                setattr(link, name, value)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Nothing arrives, and nobody is told."""
        before = self.passes
        self.passes = lambda _packet: False
        try:
            yield
        finally:
            self.passes = before

    def __enter__(self) -> "Line":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        for end in self._ends:
            os.close(end)

    def _run(self) -> None:
        # A wire doesn't pause while others compute.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        near, far = self._ends
        while not self._over:
            wait = self._waiting[0][0] - time.monotonic() if self._waiting else _MAY_WAIT
            ready, _, _ = select.select(self._ends, [], [], min(max(wait, 0), _MAY_WAIT))
            for end in ready:
                self._take(end, *((far, self.there) if end == near else (near, self.back)))
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, out, packet = heapq.heappop(self._waiting)
                with contextlib.suppress(BlockingIOError):
                    os.write(out, packet)

    def _take(self, end: int, out: int, link: Link) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = os.read(end, _PACKET)
                if packet[0] >> 4 != 4 or not self.passes(packet):
                    continue
                when = link.enter(time.monotonic(), len(packet))
                if when is not None:
                    heapq.heappush(self._waiting, (when, next(self._numbers), out, packet))


def _device(where: Network, own: str, other: str) -> int:
    with inside(where):
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", b"wire", _TUN_WITHOUT_HEADER)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        for command in (
            ["ip", "addr", "add", own, "peer", other, "dev", "wire"],
            ["ip", "link", "set", "wire", "up"],
        ):
            subprocess.run(command, check=True)
    return descriptor


@contextmanager
def line() -> Iterator[Line]:
    """Skips the test where namespaces or TUN devices can't be had."""
    with network() as near, network() as far:
        try:
            made = Line(near, far)
        except OSError as error:
            pytest.skip(f"no TUN device here: {error}")
        with made:
            yield made
