"""The two ends of a call: the camera's, and a process that says what the test wants."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ucam.capture import gdp, remotecall
from ucam.capture.callhost import CallHost
from ucam.capture.callmessages import (
    Answer,
    Candidate,
    Connected,
    Ended,
    FromCall,
    Heard,
    KeyframeWanted,
    Offer,
    Setup,
    Started,
    Stop,
    ToCall,
    decode_to_call,
    encode,
)
from ucam.capture.coded import Format, Picture
from ucam.capture.remotecall import MAX_CANDIDATES, MAX_WAITING_BYTES, CallHandlers, RemoteCall

FORMAT = Format("video/x-h264", "h264")


class Host(CallHost):
    """Gives the other ends to the test, which plays the process."""

    def begin(self, setup: Setup) -> tuple[socket.socket, list[socket.socket]]:
        ours, self.words = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipe, self.pictures = socket.socketpair()
        for end in (ours, self.words, pipe, self.pictures):
            end.setblocking(False)
        return ours, [pipe]


class Call:
    """A call, its process, and what its owner was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.host = Host()
        self.stopped = False
        self.parser = gdp.Parser(1 << 24)

        def handlers(*names: str) -> CallHandlers:
            def telling(name: str) -> object:
                return lambda *values: self.told.append((name, *values))

            return CallHandlers(**{name: telling(name) for name in names})  # type: ignore[arg-type]

        self.call = RemoteCall(
            self.host,
            Setup(codec="h264"),
            handlers(
                *("offer", "candidate", "answered", "connected", "keyframe_wanted", "ended"),
            ),
        )

    async def says(self, data: FromCall | bytes) -> None:
        """The process says it, and the camera has heard it."""
        self.host.words.send(data if isinstance(data, bytes) else encode(data))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def hears(self) -> ToCall:
        loop = asyncio.get_running_loop()
        return decode_to_call(await loop.sock_recv(self.host.words, 1 << 18))

    def capture(self, number: int, *, keyframe: bool, size: int = 100) -> None:
        picture = Picture(bytes(size), number, keyframe, FORMAT)
        self.call.picture(picture, gdp.buffer(picture.data, number, delta=not keyframe))

    async def came(self, until: int) -> list[int]:
        """The numbers of the pictures that come through the pipe, up to that one."""
        loop, found = asyncio.get_running_loop(), list[int]()
        async with asyncio.timeout(30):
            while until not in found:
                data = await loop.sock_recv(self.host.pictures, 1 << 20)
                packets = self.parser.feed(data)
                found += [p.pts_ns or 0 for p in packets if isinstance(p, gdp.Buffer)]
        return found


@asynccontextmanager
async def a_call() -> AsyncIterator[Call]:
    call = Call()
    await call.call.start()
    try:
        yield call
    finally:
        call.host.words.close()
        call.host.pictures.close()
        if not call.stopped:
            await call.call.stop()


async def test_what_the_process_says_is_passed_on() -> None:
    async with a_call() as one:
        before_s = one.call.heard_at_s
        await one.says(Started(1))
        assert one.call.heard_at_s < before_s, "the viewer's time runs from here"
        one.call.heard_at_s = before_s = 0
        await one.says(Offer("v=0"))
        assert one.call.heard_at_s > before_s, "and from here"
        await one.says(Candidate("candidate:1", None))
        await one.says(KeyframeWanted())
        await one.says(Heard())
        one.call.answer("v=0 answer")
        one.call.answer("v=0 another")
        one.call.candidate("candidate:2", 0)
        assert await one.hears() == Answer("v=0 answer")
        assert await one.hears() == Candidate("candidate:2", 0)
        await one.says(Ended("the connection to the viewer failed"))
        await one.says(Ended("and again"))
        assert one.told == [
            ("offer", "v=0"),
            ("candidate", "candidate:1", 0),
            ("keyframe_wanted",),
            ("answered",),
            ("ended", "the connection to the viewer failed"),
        ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"nonsense", "the call's process talks nonsense"),
        (b"\xff\xfe", "the call's process talks nonsense"),
    ],
)
async def test_nonsense_ends_the_call(data: bytes, why: str) -> None:
    async with a_call() as one:
        await one.says(data)
        assert one.told == [("ended", why)]


async def test_a_process_that_is_gone_ends_the_call() -> None:
    async with a_call() as one:
        one.host.words.close()
        async with asyncio.timeout(30):
            while not one.told:
                await asyncio.sleep(0.01)
        assert one.told == [("ended", "the call broke off")]


async def test_too_many_candidates_end_the_call() -> None:
    async with a_call() as one:
        for _ in range(MAX_CANDIDATES + 1):
            one.call.candidate("candidate:1", 0)
            await one.hears() if not one.told else None
        assert one.told == [("ended", "too many ICE candidates")]


async def test_a_viewer_who_falls_behind_goes_on_with_a_keyframe() -> None:
    async with a_call() as one:
        await one.says(Connected())
        size = MAX_WAITING_BYTES // 4
        one.capture(1, keyframe=True, size=size)
        number = 1
        while ("keyframe_wanted",) not in one.told:  # nobody reads
            number += 1
            one.capture(number, keyframe=False, size=size)
        assert await one.came(number - 1) == list(range(1, number))
        one.capture(number + 1, keyframe=False)
        one.capture(number + 2, keyframe=True)
        one.capture(number + 3, keyframe=False)
        assert await one.came(number + 3) == [number + 2, number + 3]


async def test_past_pictures_are_squeezed_into_the_last_moments() -> None:
    async with a_call() as one:
        await one.says(Connected())
        second = 10**9
        pictures = [Picture(bytes(9), at * second, at == 1, FORMAT) for at in (1, 2, 3)]
        one.call.replay(pictures)
        step = remotecall.REPLAY_STEP_NS
        last = 3 * second
        assert await one.came(last) == [last - 2 * step, last - step, last]


async def test_the_end_is_asked_for() -> None:
    async with a_call() as one:
        stopping = asyncio.create_task(one.call.stop())
        assert await one.hears() == Stop()
        one.host.words.close()
        one.stopped = True
        async with asyncio.timeout(30):
            await stopping
        assert one.told == []
