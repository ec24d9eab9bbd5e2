"""Pipelines one after the other, without GStreamer: what ends, fails or is silent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ucam.capture import feed as feed_module
from ucam.capture.feed import Feed, NoSource


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "STALL_S", 0.6)
    monkeypatch.setattr(feed_module, "LOOK_S", 0.05)


class Bench:
    """Builds pipelines that do nothing; a test ends them by `end`."""

    def __init__(self) -> None:
        self.feed = Feed("camera test", "picture", self._build, ended=self.told.append)
        self.why_none: str | None = None
        self.end: Callable[[str], None] = lambda _: None
        self.live = self.built = 0

    @property
    def told(self) -> list[str]:
        """The reasons of all ends."""
        return self.__dict__.setdefault("_told", [])  # type: ignore[no-any-return]

    async def _build(self, on_end: Callable[[str], None]) -> "Bench":
        if self.why_none is not None:
            raise NoSource(self.why_none)
        self.built += 1
        self.end = on_end
        return self

    async def start(self) -> None:
        self.live += 1

    async def stop(self) -> None:
        self.live -= 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    bench = Bench()
    task = asyncio.create_task(bench.feed.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert bench.live == 0, "whatever was started was stopped"


async def test_what_ends_is_told_once_and_built_anew() -> None:
    async with running() as bench:
        assert bench.feed.fault == "camera test is starting"
        await bench.until(lambda: bench.live == 1)
        bench.end("the stream ended")
        bench.end("and again")
        await bench.until(lambda: bench.built == 2)
        assert bench.told == ["the stream ended"]
        assert bench.feed.fault == "camera test: the stream ended"
        assert bench.feed.restarts == 1
        assert bench.live == 1


async def test_silence_is_a_fault() -> None:
    async with running() as bench:
        await bench.until(lambda: bench.live == 1)
        bench.feed.fault = None  # the owner's, with the first picture
        bench.feed.came()
        assert bench.feed.flows
        await bench.until(lambda: bool(bench.told))
        assert not bench.feed.flows
        assert bench.told == ["no picture for 1 s"]


async def test_where_there_is_nothing_it_goes_on_asking() -> None:
    async with running() as bench:
        bench.why_none = "no camera was found"
        await bench.until(lambda: bench.feed.restarts == 1)
        assert bench.feed.fault == "camera test: no camera was found"
        bench.why_none = None
        await bench.until(lambda: bench.live == 1)
