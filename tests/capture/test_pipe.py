"""The pipe's end in the loop: at once for who watches, together for who records."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator

import pytest

from ucam.capture import gdp, pipe
from ucam.capture.pipe import Pipe, new_pipe

NEVER_S = 3600.0


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    made = new_pipe()
    yield made
    for end in made:
        os.close(end)


class Reader:
    """What came out, and why nothing does any more."""

    def __init__(self, reading: int, *, watched: bool) -> None:
        self.watched = watched
        self.came: list[bytes] = []
        self.broken: list[str] = []
        self.pipe = Pipe(reading, self.take, self.broken.append, lambda: self.watched)

    def take(self, packet: gdp.Packet) -> None:
        assert isinstance(packet, gdp.Buffer)
        self.came.append(packet.data)

    async def has(self, count: int) -> None:
        await until(lambda: len(self.came) == count)


def send(writing: int, data: bytes) -> None:
    os.write(writing, gdp.buffer(data, 5, delta=False))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def turns() -> None:
    """As often as something that is to be read would be."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_while_nobody_watches_pictures_wait_until_somebody_does(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "PATIENCE_S", NEVER_S)

    async def scenario() -> None:
        reader = Reader(ends[0], watched=False)
        send(ends[1], b"one")
        await reader.has(1)
        send(ends[1], b"two")
        send(ends[1], b"three")
        await turns()
        assert reader.came == [b"one"]
        reader.watched = True
        reader.pipe.hurry()
        await reader.has(3)
        send(ends[1], b"four")
        await reader.has(4)
        assert reader.came == [b"one", b"two", b"three", b"four"]
        reader.pipe.stop()

    asyncio.run(scenario())


def test_who_comes_is_seen_without_being_told(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(pipe, "PATIENCE_S", 0.01)
        reader = Reader(ends[0], watched=False)
        for number in range(5):
            send(ends[1], b"%d" % number)
            await reader.has(number + 1)
        reader.watched = True
        send(ends[1], b"seen")
        await reader.has(6)
        monkeypatch.setattr(pipe, "PATIENCE_S", NEVER_S)
        for number in range(5):
            send(ends[1], b"%d" % number)
            await reader.has(number + 7)
        reader.pipe.stop()

    asyncio.run(scenario())


def test_a_small_pipe_is_emptied_at_once(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "PATIENCE_S", NEVER_S)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 65_536)

    async def scenario() -> None:
        reader = Reader(ends[0], watched=False)
        for number in range(3):
            send(ends[1], b"%d" % number)
            await reader.has(number + 1)
        reader.pipe.stop()

    asyncio.run(scenario())


def test_what_is_no_gdp_ends_it(ends: tuple[int, int]) -> None:
    async def scenario() -> None:
        reader = Reader(ends[0], watched=True)
        os.write(ends[1], bytes(100))
        await until(lambda: reader.broken)
        send(ends[1], b"later")
        await turns()
        assert len(reader.broken) == 1
        assert reader.came == []

    asyncio.run(scenario())
