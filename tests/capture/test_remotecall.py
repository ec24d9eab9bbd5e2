"""What a call sends first: pictures that were held until its connection stood."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from ucam.capture import gdp
from ucam.capture.callhost import CallHost
from ucam.capture.callmessages import Connected, Setup, encode
from ucam.capture.coded import Format, Picture
from ucam.capture.remotecall import CallHandlers, RemoteCall

FORMAT = Format("video/x-h264", "h264")
PICTURE_NS = 66_666_667


class Host(CallHost):
    """Begins calls whose processes are this test."""

    def begin(self, setup: Setup) -> tuple[socket.socket, list[socket.socket]]:
        """The other ends stay here."""
        ours, self.control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pictures, self.pictures = socket.socketpair()
        for end in (ours, pictures, self.control, self.pictures):
            end.setblocking(False)
        return ours, [pictures]


class Watched:
    """A call, and what its process reads."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._connected = asyncio.Event()
        self._parser = gdp.Parser(1_000_000)

        def connected() -> None:
            self.call.release()
            self._connected.set()

        def nothing(*_: object) -> None:
            pass

        handlers = CallHandlers(nothing, nothing, nothing, connected, nothing, nothing)
        self.call = RemoteCall(host, Setup(codec="h264"), handlers)

    def picture(self, number: int, *, keyframe: bool = False) -> None:
        """Captured, at 15 a second."""
        one = Picture(b"%d" % number, number * PICTURE_NS, keyframe, FORMAT)
        self.call.picture(one, gdp.buffer(one.data, one.clock_ns, delta=not keyframe))

    async def connect(self) -> None:
        self._host.control.send(encode(Connected()))
        await self._connected.wait()

    async def until(self, number: int) -> list[int]:
        """The pictures that came, to this one."""
        loop = asyncio.get_running_loop()
        came: list[int] = []
        while number not in came:
            data = await loop.sock_recv(self._host.pictures, 65_536)
            packets = self._parser.feed(data)
            came += [int(one.data) for one in packets if isinstance(one, gdp.Buffer)]
        return came


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    host = Host()
    watched = Watched(host)
    await watched.call.start()
    yield watched
    host.control.close()
    await watched.call.stop()
    host.pictures.close()


async def test_from_the_last_keyframe_before_the_connection_on(watched: Watched) -> None:
    for number in range(10):
        watched.picture(number, keyframe=number in (2, 6))
    await watched.connect()
    watched.picture(10)
    assert await watched.until(10) == [6, 7, 8, 9, 10]


async def test_nothing_of_long_ago(watched: Watched) -> None:
    for number in range(20):
        watched.picture(number, keyframe=number == 0)
    await watched.connect()
    watched.picture(20)
    watched.picture(21, keyframe=True)
    assert await watched.until(21) == [21]
