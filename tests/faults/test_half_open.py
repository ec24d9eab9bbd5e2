"""Cameras whose cable is pulled, at each step of a connection: storage is told nothing, frees the
place by itself, and takes the camera back at once, before it has noticed.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.counts import long
from faults.line import inside
from faults.network import Network, network
from faults.publisher import Camera
from storage.helpers import Tokens
from storage.process import StorageProcess
from support.site import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
PORT = 8322
ESTABLISHED = "01"
FREED_WITHIN_S = 30.0
# Before which request of its own it is cut off; "" before TLS, None amid its pictures.
STEPS = ("", "OPTIONS", "ANNOUNCE", "SETUP", "RECORD", None)


class CutOff(Exception):  # noqa: N818 - what happens to it
    """So far, and no further."""


class Interrupted(Camera):
    """A camera that says nothing from a request on."""

    def __init__(self, url: str, token: str, before: str) -> None:
        super().__init__(url, token)
        self._before = before.encode()

    def _send(self, data: bytes) -> None:
        if data.startswith(self._before):
            raise CutOff
        super()._send(data)


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made, inside(made):
        yield made


@pytest.fixture
def storage(tmp_path: Path, net: Network) -> Iterator[StorageProcess]:
    found = StorageProcess(
        *(tmp_path, Tokens(tmp_path)), port=PORT, chunk_size="5s", maxspace="200MB"
    )
    found.start()
    yield found
    found.stop()


def connections(storage: StorageProcess) -> int:
    """As the kernel counts them at storage's end."""
    rows = Path(f"/proc/{storage.pid}/net/tcp").read_text().splitlines()[1:]
    ours = f":{PORT:04X}"
    return sum(row.split()[1].endswith(ours) and row.split()[3] == ESTABLISHED for row in rows)


def begin(storage: StorageProcess, number: int, before: str | None) -> socket.socket:
    """One connection, up to that step."""
    if before == "":
        return socket.create_connection(("127.0.0.1", PORT), timeout=20)
    jid = f"cam{number}@studio.loc"
    url, token = f"rtsps://127.0.0.1:{PORT}/{jid}", storage.tokens.issue(jid)
    sender = Camera(url, token) if before is None else Interrupted(url, token, before)
    try:
        sender.connect()
        sender.send(60)
        sender.ask()
    except CutOff:
        pass
    assert sender.socket is not None
    return sender.socket


@long
def test_each_is_freed_and_may_come_back_before(storage: StorageProcess, net: Network) -> None:
    assert connections(storage) == 0
    held = [begin(storage, number, before) for number, before in enumerate(STEPS)]
    wait_until("all stand", lambda: connections(storage) == len(STEPS))
    with ExitStack() as cables:
        for each in held:
            cables.enter_context(net.cut(each.getsockname()[1]))
        cut_s = time.monotonic()
        # The last ones had published: they come back by another way, at the first attempt.
        for number in (len(STEPS) - 2, len(STEPS) - 1):
            jid = f"cam{number}@studio.loc"
            again = Camera(f"rtsps://127.0.0.1:{PORT}/{jid}", storage.tokens.issue(jid))
            again.connect()
            again.send(30)
            again.ask()
            again.teardown()
        wait_until("all are freed", lambda: connections(storage) == 0, 90)
        freed_s = time.monotonic() - cut_s
        print(f"freed after {freed_s:.0f} s")
    for each in held:
        each.close()
    assert freed_s < FREED_WITHIN_S
    log = storage.log.read_text()
    assert "Traceback" not in log
    storage.stop()
    assert storage.fsck().returncode == 0
