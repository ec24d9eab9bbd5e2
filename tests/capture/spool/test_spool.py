"""Memory and disk together: order, what is lost when, what a restart finds."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from capture.samples import sound, unit
from media.clips import clip
from ucam.capture.run import Run
from ucam.capture.spool import Spool, files
from ucam.capture.spool import spool as spool_module
from ucam.capture.spool.files import Notes, Segment
from ucam.capture.spool.units import DAMAGED, FULL, OVERHEAD_BYTES
from ucam.media.track import AudioTrack, VideoTrack

TRACK = VideoTrack.h264(clip(b_frames=0).parameter_sets)
# Five pictures of this size fill a segment of the smallest kind.
SIZE = 13_108
COST = SIZE + 4 + OVERHEAD_BYTES
BOOT = "this boot"


def run(name: str, *, boot: str | None = None, why: str = "") -> Run:
    return Run(TRACK, AudioTrack.opus(1), name, why, boot)


A, B = run("aaaa"), run("bbbb")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "WRITE_S", 0.01)


class Away:
    """Whether storage is away, as a test says."""

    def __init__(self) -> None:
        self.now = False

    def __call__(self) -> bool:
        return self.now


@asynccontextmanager
async def spooling(
    folder: Path, away: Callable[[], bool], memory: int = 100 * COST, disk: int = 10_000_000
) -> AsyncIterator[Spool]:
    """A spool that runs until the test leaves it as `kill -9` does."""
    spool = Spool(memory, folder / "spool", disk, boot=BOOT)
    task = asyncio.create_task(spool.run(away))
    try:
        await spool.poll()
        yield spool
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if spool._step is not None:
            await asyncio.wait({spool._step})
        assert spool._disk is not None
        spool._disk._unlock()


def add(spool: Spool, name: Run, first: int, last: int, size: int = SIZE) -> None:
    for number in range(first, last + 1):
        spool.append(name, unit(number, size=size))


async def taken(spool: Spool, limit: int = 10_000) -> list[tuple[str, int]]:
    """What can be sent now."""
    found: list[tuple[str, int]] = []
    while len(found) < limit and (item := await spool.poll()) is not None:
        spool.take()
        found.append((item.run.id, item.unit.number))
    return found


def numbers(name: Run, first: int, last: int) -> list[tuple[str, int]]:
    return [(name.id, number) for number in range(first, last + 1)]


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def newest_on_disk(spool: Spool) -> int:
    """The number of what was captured last and is on the disk."""
    assert spool._disk is not None
    return spool._disk.segments[-1].last or 0 if spool._disk.segments else -1


async def test_in_normal_running_the_disk_is_not_touched(tmp_path: Path) -> None:
    async with spooling(tmp_path, Away()) as spool:
        for number in range(60):
            spool.append(A, unit(number))
            assert await taken(spool) == [("aaaa", number)]
            if number % 10 == 9:
                spool.confirm("aaaa", number, number * 100_000)
                await asyncio.sleep(0.02)
        assert not spool.unconfirmed
        assert (spool.on_disk, spool.unconfirmed_s) == (0, 0.0)
        assert [path.name for path in (tmp_path / "spool").iterdir()] == ["lock"]


async def test_while_storage_is_away_everything_unconfirmed_is_on_the_disk(tmp_path: Path) -> None:
    away = Away()
    async with spooling(tmp_path, away) as spool:
        add(spool, A, 0, 17)
        await taken(spool)
        spool.confirm("aaaa", 11, 1_100_000)
        away.now = True
        await settled(lambda: newest_on_disk(spool) == 17)
        add(spool, A, 18, 33)
        await settled(lambda: newest_on_disk(spool) == 33)
    # Killed; the next process knows nothing but what storage tells.
    async with spooling(tmp_path, away) as spool:
        add(spool, B, 0, 2)
        spool.rewind()
        assert (await spool.peek()).unit.number == 10  # the keyframe before what is missing
        spool.confirm("aaaa", 11, 1_100_000)
        assert spool.awaits("aaaa", 33)
        spool.rewind()
        assert await taken(spool) == [*numbers(A, 10, 33), *numbers(B, 0, 2)]
        spool.confirm("aaaa", 33, 3_300_000)
        assert not spool.awaits("aaaa", 33)
        spool.rewind()
        assert await taken(spool) == numbers(B, 0, 2)
        spool.confirm("bbbb", 2, 200_000)
        assert not spool.unconfirmed


async def test_when_storage_is_back_the_disk_is_emptied(tmp_path: Path) -> None:
    away = Away()
    async with spooling(tmp_path, away) as spool:
        away.now = True
        add(spool, A, 0, 60)
        await settled(lambda: newest_on_disk(spool) == 60)
        assert (spool.unconfirmed_s, spool.waits_for_clock) == (6.0, False)
        away.now = False
        spool.confirm("aaaa", 30, 3_000_000)
        add(spool, A, 61, 70)
        assert list((tmp_path / "spool").glob("*.seg"))
        spool.confirm("aaaa", 70, 7_000_000)
        await settled(lambda: not list((tmp_path / "spool").glob("*.seg")))
        assert spool.on_disk == 0


async def test_more_than_memory_is_read_back_from_the_disk(tmp_path: Path) -> None:
    away = Away()
    async with spooling(tmp_path, away, memory=12 * COST) as spool:
        away.now = True
        for first in range(0, 200, 5):
            add(spool, A, first, first + 4)
            await settled(lambda: newest_on_disk(spool) == first + 4)  # noqa: B023
        assert spool.memory <= 12 * COST
        assert spool.gaps == ()
        spool.rewind()
        assert await taken(spool, 3) == numbers(A, 0, 2)
        # And goes on from memory, in one piece, while more comes.
        add(spool, A, 200, 204)
        assert await taken(spool) == numbers(A, 3, 204)
        add(spool, A, 205, 206)
        assert await taken(spool) == numbers(A, 205, 206)


async def test_a_link_that_is_too_slow_falls_back_to_the_disk(tmp_path: Path) -> None:
    """What was about to be sent has left the memory: nothing is missing, nothing comes twice."""
    away = Away()
    away.now = True
    chance = random.Random(4)
    async with spooling(tmp_path, away, memory=12 * COST) as spool:
        got: list[tuple[str, int]] = []
        for first in range(0, 150, 5):
            add(spool, A, first, first + 4)
            spool.append(A, sound(first + 4, size=SIZE))
            await settled(lambda: newest_on_disk(spool) == first + 4)  # noqa: B023
            got += await taken(spool, chance.choice((0, 1, 3, 8)))
        got += await taken(spool)
        assert got[-1] == ("aaaa", 149)
        pictures = list(dict.fromkeys(got))  # sound has the number of its picture
        assert pictures == numbers(A, 0, 149)
        assert spool.gaps == ()


async def test_memory_alone_loses_the_oldest_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("no folder")
    away = Away()
    away.now = True
    spool = Spool(12 * COST, tmp_path / "spool", 1_000_000, boot=BOOT)
    task = asyncio.create_task(spool.run(away))
    add(spool, A, 0, 29)
    await settled(lambda: spool.fault is not None)
    assert "File exists" in str(spool.fault)
    spool.rewind()
    got = await taken(spool)
    assert got == numbers(A, got[0][1], 29)
    assert got[0][1] % 5 == 0
    spool.rewind()
    item = await spool.peek()
    assert spool.why_missing(item) == FULL
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_full_disk_loses_the_oldest_and_says_why_even_after_a_restart(
    tmp_path: Path,
) -> None:
    away = Away()
    away.now = True
    async with spooling(tmp_path, away, memory=12 * COST, disk=800_000) as spool:
        for first in range(0, 200, 5):
            add(spool, A, first, first + 4)
            await settled(lambda: newest_on_disk(spool) == first + 4)  # noqa: B023
        assert spool.on_disk <= 800_000
        spool.rewind()
        got = await taken(spool)
        first = got[0][1]
        assert got == numbers(A, first, 199)
        assert (first % 5, first > 100) == (0, True)
        assert [(gap.first, gap.last, gap.reason) for gap in spool.gaps] == [(0, first - 1, FULL)]
        await settled(lambda: FULL in (tmp_path / "spool" / "notes.json").read_text())
    async with spooling(tmp_path, away) as spool:
        spool.rewind()
        item = await spool.peek()
        assert (item.unit.number, spool.why_missing(item)) == (first, FULL)
        spool.confirm("aaaa", 199, 0)
        assert spool.gaps == ()


async def test_a_damaged_segment_costs_its_rest_and_says_so(tmp_path: Path) -> None:
    away = Away()
    away.now = True
    async with spooling(tmp_path, away) as spool:
        add(spool, A, 0, 14)
        await settled(lambda: newest_on_disk(spool) == 14)
    first = tmp_path / "spool" / "000000000000.seg"
    data = bytearray(first.read_bytes())
    data[-10] ^= 1  # in the last picture of the first five
    first.write_bytes(data)
    async with spooling(tmp_path, away) as spool:
        spool.rewind()
        assert await taken(spool, 4) == numbers(A, 0, 3)
        item = await spool.peek()
        assert (item.unit.number, spool.why_missing(item)) == (5, DAMAGED)


async def test_a_stop_in_good_order_leaves_the_rest_on_the_disk(tmp_path: Path) -> None:
    spool = Spool(100 * COST, tmp_path / "spool", 10_000_000, boot=BOOT)
    task = asyncio.create_task(spool.run(Away()))
    await spool.poll()
    add(spool, A, 0, 7)
    spool.confirm("aaaa", 5, 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await spool.close()
    async with spooling(tmp_path, Away()) as spool:
        spool.confirm("aaaa", 5, 0)
        spool.rewind()
        assert await taken(spool) == numbers(A, 5, 7)


async def test_a_disk_that_hangs_at_the_start_keeps_nothing_from_being_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away()
    away.now = True
    async with spooling(tmp_path, away) as spool:
        add(spool, A, 0, 9)
        await settled(lambda: newest_on_disk(spool) == 9)
    answers = threading.Event()
    real = files.recover

    def hanging(folder: Path) -> tuple[list[Segment], Notes, int]:
        answers.wait(60)
        return real(folder)

    monkeypatch.setattr(files, "recover", hanging)
    monkeypatch.setattr(spool_module, "OPEN_S", 0.05)
    async with spooling(tmp_path, away) as spool:
        add(spool, B, 0, 4)
        assert await taken(spool) == numbers(B, 0, 4)
        answers.set()
        await settled(lambda: newest_on_disk(spool) == 4)
        spool.rewind()
        assert await taken(spool) == numbers(B, 0, 4)
    # What was found too late comes with the next start.
    async with spooling(tmp_path, away) as spool:
        spool.rewind()
        assert await taken(spool) == [*numbers(A, 0, 9), *numbers(B, 0, 4)]


async def test_without_a_clock_nothing_is_sent_and_then_with_the_right_times(
    tmp_path: Path,
) -> None:
    early = run("early", boot=BOOT)
    away = Away()
    async with spooling(tmp_path, away) as spool:
        spool.append(early, unit(0))
        assert spool.waits_for_clock
        assert await spool.poll() is None
        waiting = asyncio.create_task(spool.peek())
        await asyncio.sleep(0)
        spool.clock_set(1_800_000_000_000_000)
        item = await waiting
        assert (item.unit.utc_us, item.unit.number) == (1_800_000_000_000_000, 0)
        assert not spool.waits_for_clock
        spool.append(early, unit(1))
        spool.take()
        assert (await spool.peek()).unit.utc_us == 1_800_000_000_100_000


async def test_a_capture_that_was_restarted_before_the_clock_was_set(tmp_path: Path) -> None:
    away = Away()
    away.now = True
    early = run("early", boot=BOOT)
    async with spooling(tmp_path, away) as spool:
        add(spool, early, 0, 4)
        await settled(lambda: newest_on_disk(spool) == 4)
    async with spooling(tmp_path, away) as spool:
        assert spool.waits_for_clock
        assert await spool.poll() is None
        spool.clock_set(1_800_000_000_000_000)
        times = []
        spool.rewind()
        while (item := await spool.poll()) is not None:
            spool.take()
            times.append(item.unit.utc_us)
        assert times == [1_800_000_000_000_000 + n * 100_000 for n in range(5)]


async def test_boots_that_never_had_a_clock_are_put_one_behind_the_other(tmp_path: Path) -> None:
    """Order and spacing are right; the estimate stays when the machine starts once more."""
    away = Away()
    away.now = True
    for boot in ("boot 1", "boot 2"):
        name = run(boot[-1] * 4, boot=boot)
        async with spooling(tmp_path, away) as spool:
            spool._boots.own = boot
            add(spool, name, 0, 9)
            await settled(lambda: newest_on_disk(spool) == 9)

    async def times(offset_us: int, boot: str) -> list[tuple[str, int]]:
        async with spooling(tmp_path, away) as spool:
            spool._boots.own = boot
            spool.clock_set(offset_us)
            await settled(lambda: not spool.waits_for_clock)
            spool.rewind()
            found = []
            while (item := await spool.poll()) is not None:
                spool.take()
                found.append((item.run.id, item.unit.utc_us))
            notes = tmp_path / "spool" / "notes.json"
            await settled(lambda: notes.exists() and "boot 1" in notes.read_text())
            return found

    began_us = 1_800_000_000_000_000
    found = await times(began_us, "boot 3")
    assert [name for name, _ in found] == ["1111"] * 10 + ["2222"] * 10
    steps = [after - before for (_, before), (_, after) in pairwise(found)]
    assert steps == [100_000] * 9 + [0] + [100_000] * 9
    assert found[-1][1] == began_us  # as if the power had come back at once
    assert await times(began_us + 3_600_000_000, "boot 4") == found


async def test_sound_that_is_confirmed_is_not_sent_again_with_its_pictures(tmp_path: Path) -> None:
    async with spooling(tmp_path, Away()) as spool:
        for number in range(8):
            spool.append(A, unit(number, size=SIZE))
            spool.append(A, sound(number))
        spool.confirm("aaaa", 6)
        spool.rewind()
        sent = []
        while (item := await spool.poll()) is not None:
            spool.take()
            sent.append((item.unit.number, item.unit.audio))
        assert sent == [(5, False), (6, False), (6, True), (7, False), (7, True)]


async def test_sound_on_the_disk_that_waits_for_the_next_picture_is_sent_after_a_restart(
    tmp_path: Path,
) -> None:
    away = Away()
    away.now = True
    async with spooling(tmp_path, away) as spool:
        for number in range(8):
            spool.append(A, unit(number, size=SIZE // 2))
            spool.append(A, sound(number))
            spool.append(A, sound(number, late_us=110_000))
        async with asyncio.timeout(30):
            while spool.on_disk < 8 * (SIZE // 2):
                await asyncio.sleep(0.01)
    async with spooling(tmp_path, Away()) as spool:
        spool.confirm("aaaa", 4)
        spool.rewind()
        sent: list[tuple[int, bool, int]] = []
        while len(sent) < 3 and (item := await spool.poll()) is not None:
            spool.take()
            sent.append((item.unit.number, item.unit.audio, item.unit.utc_us))
        assert sent == [(4, True, 410_000), (4, True, 510_000), (5, False, 500_000)]


def test_what_is_at_hand_is_what_comes_next() -> None:
    async def scenario() -> None:
        spool = Spool(100 * COST)
        assert spool.at_hand(5) == []
        add(spool, A, 0, 6)
        first = await spool.poll()
        assert first is not None
        spool.take()
        at_hand = spool.at_hand(3)
        assert [item.unit.number for item in at_hand] == [1, 2, 3]
        spool.take_all(at_hand[:2])
        assert await taken(spool, 1) == numbers(A, 3, 3)
        assert len(spool.at_hand(100)) == 3
        spool.rewind()
        assert await taken(spool) == numbers(A, 0, 6)

    asyncio.run(scenario())


def test_nothing_is_at_hand_before_its_time_is_known() -> None:
    async def scenario() -> None:
        spool = Spool(100 * COST, boot=BOOT)
        add(spool, run("cccc", boot=BOOT), 0, 3)
        assert spool.at_hand(10) == []
        spool.clock_set(1_000_000)
        times = [item.unit.utc_us for item in spool.at_hand(10)]
        assert times == [unit(number).utc_us + 1_000_000 for number in range(4)]

    asyncio.run(scenario())
