"""A disk that takes its time, and one that is read-only for a while, by strace.

UCAM_FAULTS_SYNC_MS: how long each sync takes; UCAM_FAULTS_SLOW_PICTURES: how many are sent.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.counts import count
from faults.publisher import Camera
from faults.test_network import assert_whole, closed_until, memory
from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess
from support.site import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
SYNC_MS = count("SYNC_MS", 700)
# 720p at a quality that nobody records with: forty kilobytes a picture.
PICTURES = count("SLOW_PICTURES", 1150)
# What may wait for the disk (16 MiB of one camera), and what goes through sockets.
MOST_MEMORY = 28 << 20


@contextmanager
def injected(storage: StorageProcess, what: str) -> Iterator[None]:
    """All of storage's threads, for as long as this lasts."""
    command = ["strace", "-f", "-qq", "-p", str(storage.pid), "-o", "/dev/null"]
    command += ["-e", f"trace={what.partition(':')[0]}", "-e", f"inject={what}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        wait_until("strace is attached", lambda: _traced(storage) or strace.poll() is not None)
        if strace.poll() is not None:
            assert strace.stderr is not None
            pytest.skip(f"strace can't be used here: {strace.stderr.read()}")
        try:
            yield
        finally:
            strace.terminate()


def _traced(storage: StorageProcess) -> bool:
    tasks = Path(f"/proc/{storage.pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in path.read_text() for path in tasks)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StorageProcess]:
    found = StorageProcess(tmp_path, Tokens(tmp_path), chunk_size="5s", maxspace="2GB")
    found.start()
    yield found
    found.stop()


def camera(storage: StorageProcess, size: str) -> Camera:
    url = f"rtsps://127.0.0.1:{storage.port}/{CAMERA}"
    return Camera(url, storage.tokens.issue(CAMERA), size=size)


def finish(storage: StorageProcess, sender: Camera) -> None:
    sender.teardown()
    last = sender.sent - 1
    closed_until(storage, last)
    storage.stop()
    assert_whole(storage, sender)


def test_a_slow_disk_holds_its_cameras_back(storage: StorageProcess) -> None:
    """More comes than the disk takes: the sender waits, memory stays, nothing is lost."""
    sender = camera(storage, "1280x720")
    sender.connect()
    sender.send(25)
    before = memory(storage)
    most, sent = 0, 0
    with injected(storage, f"fdatasync:delay_exit={SYNC_MS * 1000}"):
        for _ in range(PICTURES // 25):
            sent += sender.send(25)
            most = max(most, memory(storage))
    assert sent > 1.5 * MOST_MEMORY, "too little was sent to prove anything"
    assert most - before < MOST_MEMORY
    finish(storage, sender)


def test_read_only_for_a_while(storage: StorageProcess) -> None:
    """Told; nothing is confirmed meanwhile; afterwards it is recorded, from what was confirmed on.
    The sender does what ucam's own does: it comes back and goes on behind what is durable.
    """
    sender = camera(storage, "320x240")
    sender.connect()
    sender.send(100)
    sender.wait_for_durable(49)
    with injected(storage, "fdatasync:error=EROFS"):
        sender.send(100)
        wait_until("it is told", lambda: "can't be recorded" in storage.log.read_text())
        durable = sender.ask()
        for _ in range(20):
            sender.send(10)
            time.sleep(0.05)
            assert sender.ask() == durable
    wait_until("it is over", lambda: _records(sender, storage))
    finish(storage, sender)


def _records(sender: Camera, storage: StorageProcess) -> bool:
    sender.send(25)
    sender.ask()
    return "is being recorded again" in storage.log.read_text()
