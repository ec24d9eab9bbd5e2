"""Broken, stopped, doubled and hostile connections, against a storage that really runs.

How often: UCAM_FAULTS_RESETS, UCAM_FAULTS_SOCKETS, UCAM_FAULTS_SLOW_SOCKETS,
UCAM_FAULTS_STOPPED_S, UCAM_FAULTS_SEED.
"""

import contextlib
import os
import random
import re
import resource
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from faults.counts import count
from faults.publisher import GROUP, Camera, Refused, connect
from storage.helpers import START_US, Tokens
from storage.process import CAMERA, StorageProcess
from support.site import wait_until
from ucam.media.scan import samples, scan
from ucam.storage.database import Database
from ucam.storage.layout import INDEX
from ucam.storage.records import Chunk

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
RESETS = count("RESETS", 20)
# More than storage has places for.
SOCKETS = count("SOCKETS", 900)
SLOW = count("SLOW_SOCKETS", 250)
STOPPED_S = count("STOPPED_S", 3)
MOST_MEMORY = 50 << 20
HOUR_US = 3_600_000_000


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StorageProcess]:
    found = StorageProcess(tmp_path, Tokens(tmp_path), chunk_size="10s", maxspace="200MB")
    found.start()
    yield found
    found.stop()


def camera(storage: StorageProcess, *, run: str = "run1", start_us: int = START_US) -> Camera:
    url = f"rtsps://127.0.0.1:{storage.port}/{CAMERA}"
    return Camera(url, storage.tokens.issue(CAMERA), run=run, start_us=start_us)


def memory(storage: StorageProcess) -> int:
    """Bytes that it has in memory."""
    text = Path(f"/proc/{storage.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) * 1024


def kept(storage: StorageProcess) -> list[Chunk]:
    database = Database(storage.root / INDEX)
    try:
        return list(database.all_chunks())
    finally:
        database.close()


def closed_until(storage: StorageProcess, last: int) -> None:
    """Wait for the chunk with that picture."""
    wait_until(
        "the last chunk is closed",
        lambda: last in [chunk.last_number for chunk in kept(storage)[-1:]],
        within_s=300,
    )


def assert_whole(storage: StorageProcess, sender: Camera) -> None:
    """After its end: fsck and verify find nothing; every picture that was sent is there once, bit
    for bit.
    """
    checked = storage.fsck()
    assert checked.returncode == 0, checked.stdout
    sealed = storage.verify()
    assert sealed.returncode == 0, sealed.stdout
    number = 0
    for chunk, path in zip(kept(storage), storage.chunks(), strict=True):
        assert chunk.first_number == number
        data = path.read_bytes()
        for fragment in scan(data).fragments:
            for each in samples(data, fragment):
                found = data[each.offset : each.offset + each.size]
                assert found == sender.pictures[number % GROUP], f"picture {number} of {path}"
                number += 1
    assert number == sender.sent


def reconnect(found: Camera) -> None:
    """Storage may still be busy with the end of the connection before."""
    wait_until("it may connect", lambda: _connected(found))


def _connected(found: Camera) -> bool:
    try:
        found.connect()
    except (OSError, Refused):
        found.close()
        return False
    return True


def test_reset_in_mid_frame(storage: StorageProcess) -> None:
    """Nothing that was cut counts as received, and what comes behind it fits."""
    chance = random.Random(count("SEED", 1))
    sender = camera(storage)
    for _ in range(RESETS):
        reconnect(sender)
        sender.send(chance.randint(0, 60))
        if chance.random() < 0.5:
            sender.ask()
        part = sender.next_picture()
        assert sender.socket is not None
        sender.socket.sendall(part[: chance.randrange(len(part))])
        # Before storage has read it (then a reset drops it), or behind that.
        time.sleep(chance.choice((0, 0.25)))
        sender.reset()
    reconnect(sender)
    sender.send(200 - sender.sent % GROUP)
    sender.teardown()
    last = sender.sent - 1
    closed_until(storage, last)
    storage.stop()
    assert_whole(storage, sender)


def test_stopped_and_continued(storage: StorageProcess) -> None:
    """A storage that stands still keeps its cameras waiting, and loses nothing."""
    sender = camera(storage)
    sender.connect()
    sender.send(60)
    sender.ask()
    os.kill(storage.pid, signal.SIGSTOP)
    assert sender.socket is not None
    sender.socket.settimeout(STOPPED_S)
    with pytest.raises(TimeoutError):
        sender.ask()
    os.kill(storage.pid, signal.SIGCONT)
    # The question went out: the answer is to the first of both.
    sender.close()
    reconnect(sender)
    sender.send(100)
    sender.teardown()
    last = sender.sent - 1
    closed_until(storage, last)
    storage.stop()
    assert_whole(storage, sender)


def talk(sender: Camera) -> None:
    """Send and ask, for as long as it is let."""
    while True:
        sender.send(1)
        sender.ask()


def test_two_publishers_of_one_name(storage: StorageProcess) -> None:
    """The newer one wins, each time, and their pictures never mix."""
    lasts: dict[str, int] = {}
    older: Camera | None = None
    for number in range(3):
        newer = camera(storage, run=f"run{number}", start_us=START_US + number * HOUR_US)
        newer.connect()
        newer.send(75)
        newer.wait_for_durable(GROUP - 1)
        if older is not None:
            # It talks on, until it finds that it was hung up on.
            with pytest.raises((OSError, Refused)):
                talk(older)
            older.close()
        lasts[f"run{number}"] = newer.durable
        older = newer
    assert older is not None
    older.teardown()
    last = older.sent - 1
    closed_until(storage, last)
    storage.stop()
    chunks = kept(storage)
    assert [run for run, _ in groupby(chunks, lambda chunk: chunk.run)] == list(lasts)
    for name, durable in lasts.items():
        of_run = [chunk for chunk in chunks if chunk.run == name]
        assert of_run[0].first_number == 0
        assert of_run[-1].last_number >= durable
        for before, after in pairwise(of_run):
            assert after.first_number == before.last_number + 1
    checked = storage.fsck()
    assert checked.returncode == 0, checked.stdout


def silent(storage: StorageProcess) -> socket.socket:
    """TCP, and nothing more."""
    return socket.create_connection(("127.0.0.1", storage.port), timeout=60)


ANNOUNCE = b"ANNOUNCE rtsps://h/cam001@studio.loc RTSP/1.0\r\nCSeq: 1\r\n"
HOSTILE = {
    "a head that never ends": ANNOUNCE + b"X: ",
    "a body of 4 GiB": ANNOUNCE + b"Content-Length: 4294967296\r\n\r\n",
    "a body of 900 MB": ANNOUNCE + b"Content-Length: 900000000\r\n\r\n",
    "a body that never ends": ANNOUNCE + b"Content-Length: 65536\r\n\r\n",
    "requests without an end": b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 400,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_requests_that_want_too_much(storage: StorageProcess, name: str) -> None:
    """They end; the memory stays; whoever is recording goes on."""
    sender = camera(storage)
    sender.connect()
    sender.send(100)
    before = memory(storage)
    url = f"rtsps://127.0.0.1:{storage.port}/x"
    attackers = [connect(url) for _ in range(3)]
    for attacker in attackers:
        with contextlib.suppress(OSError, ssl.SSLError):  # closed while it talks
            attacker.sendall(HOSTILE[name])
            for piece in range(2000):
                attacker.sendall(b"x" * 12_288)
                if piece % 4 == 0:
                    sender.send(1)
    sender.ask()
    assert memory(storage) - before < MOST_MEMORY
    for attacker in attackers:
        attacker.close()
    sender.teardown()
    last = sender.sent - 1
    closed_until(storage, last)
    storage.stop()
    assert_whole(storage, sender)


def test_a_thousand_who_say_a_byte_now_and_then(storage: StorageProcess) -> None:
    """Slowloris: heads that never end, a byte at a time, so that each seems to live. Who records
    goes on, who comes back gets in.
    """
    sender = camera(storage)
    sender.connect()
    sender.send(50)
    before = memory(storage)
    url = f"rtsps://127.0.0.1:{storage.port}/x"
    held: list[ssl.SSLSocket] = []
    for number in range(SLOW):
        with contextlib.suppress(OSError, ssl.SSLError):
            held.append(connect(url))
            held[-1].sendall(ANNOUNCE + b"X: ")
        if number % 10 == 0:
            sender.send(1)
    for _ in range(3):
        for number, each in enumerate(held):
            with contextlib.suppress(OSError, ssl.SSLError):  # closed meanwhile
                each.sendall(b"x")
            if number % 50 == 0:
                sender.send(1)
    sender.ask()
    assert memory(storage) - before < MOST_MEMORY
    sender.reset()
    sender.connect()  # at the first attempt
    sender.send(100)
    sender.teardown()
    last = sender.sent - 1
    closed_until(storage, last)
    for each in held:
        each.close()
    storage.stop()
    assert_whole(storage, sender)


def test_more_sockets_than_there_are_places(storage: StorageProcess) -> None:
    """Sockets that say nothing, before and behind TLS: who records goes on, who comes back gets in,
    and the memory stays.
    """
    sender = camera(storage)
    sender.connect()
    sender.send(50)
    before = memory(storage)
    url = f"rtsps://127.0.0.1:{storage.port}/x"
    held: list[socket.socket] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for number in range(SOCKETS):
        with contextlib.suppress(OSError, ssl.SSLError):
            held.append(silent(storage) if number < SOCKETS // 3 else connect(url))
        if number % 10 == 0:
            sender.send(1)
    assert len(held) > SOCKETS // 2
    sender.ask()
    assert memory(storage) - before < MOST_MEMORY
    sender.reset()
    sender.connect()  # at the first attempt
    sender.send(100)
    sender.teardown()
    last = sender.sent - 1
    closed_until(storage, last)
    for each in held:
        each.close()
    storage.stop()
    assert_whole(storage, sender)
