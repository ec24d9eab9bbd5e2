"""A UDP relay that is a path: it delays, loses, narrows and queues, in both directions."""

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.link import Link

_SO_RCVBUFFORCE = 33  # Linux; Python has no name for it
_BUFFER_BYTES = 4_000_000
TICK_S = 0.001
_IP_UDP_BYTES = 28  # what a datagram has around it on the wire


@dataclass
class Side:
    """One end's door: whoever writes to it first is that end."""

    socket: socket.socket
    link: Link  # what comes in here passes it
    peer: tuple[str, int] | None = None

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])


@dataclass
class Relay:
    """Between `near` and `far`; `there` is near's way out."""

    there: Link
    back: Link
    near: Side = field(init=False)
    far: Side = field(init=False)

    def __post_init__(self) -> None:
        self.near, self.far = Side(_open(), self.there), Side(_open(), self.back)
        self._ended = False
        self._waiting: list[tuple[float, int, Side, bytes]] = []
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def running(self) -> Iterator["Relay"]:
        """Relays meanwhile, in a thread."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._ended = True
            thread.join()
            self.near.socket.close()
            self.far.socket.close()

    def _run(self) -> None:
        # A path doesn't pause while others compute; only root may say so.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        # It looks by the clock: woken by each packet it would drive the sender from its core at
        # each, which no path does; on a busy machine the sender then waits for its next turn.
        while not self._ended:
            self._take(self.near, self.far)
            self._take(self.far, self.near)
            self._release()
            time.sleep(TICK_S)

    def _take(self, side: Side, out: Side) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, peer = side.socket.recvfrom(65_536)
                side.peer = side.peer or peer
                if peer != side.peer:
                    continue
                when = side.link.enter(time.monotonic(), len(data) + _IP_UDP_BYTES)
                if when is not None:
                    heapq.heappush(self._waiting, (when, next(self._numbers), out, data))

    def _release(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, out, data = heapq.heappop(self._waiting)
            if out.peer is not None:
                with contextlib.suppress(BlockingIOError):
                    out.socket.sendto(data, out.peer)


def _open() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", 0))
    sock.setblocking(False)
    with contextlib.suppress(
        PermissionError
    ):  # root's, beyond the system's 200 KB: 40 ms of packets
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    return sock


def address_in(sdp: str) -> str:
    """Of a description's first UDP candidate."""
    for line in sdp.splitlines():
        fields = line.split()
        if line.startswith("a=candidate:") and fields[2].lower() == "udp" and "." in fields[4]:
            return fields[4]
    raise SystemExit("this machine has no network address for a call")


def through(sdp: str, address: str, port: int) -> str:
    """The description with the relay as its only candidate."""
    found = []
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            continue
        found.append(line)
        if line.startswith("a=mid:"):
            found.append(f"a=candidate:1 1 udp 2130706431 {address} {port} typ host")
    return "\r\n".join(found) + "\r\n"
