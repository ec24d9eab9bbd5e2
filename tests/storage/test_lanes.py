"""Lanes with real threads; what must happen is waited for, however long a loaded machine takes."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from ucam.storage import lanes as module
from ucam.storage.lanes import Lane, Lanes

LONG_S = 20.0


def writers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "write"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():
            await asyncio.sleep(0.01)


async def done(lane: Lane, work: Callable[[], None], *, at_once: bool = True) -> Exception | None:
    told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    lane.post(work, told.set_result, at_once=at_once)
    async with asyncio.timeout(LONG_S):
        return await told


async def test_each_lane_keeps_its_order_and_does_one_thing_at_a_time() -> None:
    lanes = Lanes()
    order: dict[int, list[int]] = {number: [] for number in range(5)}
    inside = dict.fromkeys(order, 0)

    def job(lane: int, number: int) -> Callable[[], None]:
        def work() -> None:
            inside[lane] += 1
            assert inside[lane] == 1
            order[lane].append(number)
            inside[lane] -= 1

        return work

    each = {number: lanes.lane() for number in order}
    told: list[Exception | None] = []
    for number in range(200):
        for place, lane in each.items():
            lane.post(job(place, number), told.append)
        if number % 50 == 0:
            await asyncio.sleep(0)  # the thread is at work while others are posted
    await until(lambda: len(told) == 1000)
    assert not any(told)
    assert all(found == list(range(200)) for found in order.values())
    lanes.close()


async def test_a_lane_that_hangs_keeps_nobody_else_waiting() -> None:
    lanes = Lanes()
    released = threading.Event()
    hanging, other = lanes.lane(), lanes.lane()
    ended: list[Exception | None] = []
    hanging.post(lambda: _wait(released), ended.append)
    for _ in range(3):
        assert await done(other, lambda: None) is None
        assert not ended
    released.set()
    await until(lambda: ended == [None])
    lanes.close()


async def test_where_all_hang_each_has_a_thread_of_its_own() -> None:
    lanes = Lanes()
    barrier = threading.Barrier(12)
    told: list[Exception | None] = []
    for _ in range(12):
        lanes.lane().post(lambda: _meet(barrier), told.append)
    await until(lambda: len(told) == 12)
    assert told == [None] * 12
    lanes.close()
    await until(lambda: not writers())


async def test_what_a_job_raised_is_told_and_the_next_is_done() -> None:
    lanes = Lanes()
    lane = lanes.lane()

    def fail() -> None:
        raise ValueError("no")

    told: list[Exception | None] = []
    lane.post(fail, told.append)
    assert await done(lane, lambda: None) is None
    assert [str(error) for error in told] == ["no"]
    lanes.close()


async def test_a_thread_that_has_nothing_to_do_ends_and_work_finds_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.01)
    lanes = Lanes()
    lane = lanes.lane()
    for _ in range(3):
        assert await done(lane, lambda: None, at_once=False) is None
        await until(lambda: not writers())


async def test_nobody_waits_when_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 1000.0)
    lanes = Lanes()
    lane = lanes.lane()
    assert await done(lane, lambda: None) is None
    assert writers()
    lanes.close()
    await until(lambda: not writers())
    assert await done(lane, lambda: None) is None  # a last word is still taken
    await until(lambda: not writers())


def _wait(event: threading.Event) -> None:
    assert event.wait(LONG_S)


def _meet(barrier: threading.Barrier) -> None:
    barrier.wait(LONG_S)
