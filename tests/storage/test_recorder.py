import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from storage.helpers import PLACE, START_US, Store, arrived, opened, recorder, units
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.records import Chunk, Durable, Gap


def rows(store: Store) -> list[Chunk]:
    return store.index.call(lambda database: list(database.all_chunks()))


async def test_what_was_received_is_on_the_disk_when_it_is_finished(store: Store) -> None:
    found = recorder(store)
    recording = await found.begin(PLACE, "run1")
    for each in arrived(units(110)):
        recording.push(each)
    assert found.recording(PLACE)
    await recording.finish("unplugged")
    assert not found.recording(PLACE)
    assert found.live == {}
    assert [chunk.last_number for chunk in rows(store)] == [49, 99, 109]
    assert await found.durable(PLACE) == Durable("run1", 109, START_US + 109 * 40_000)


async def test_a_newer_connection_takes_over_when_the_old_one_is_on_the_disk(store: Store) -> None:
    found = recorder(store)
    old = await found.begin(PLACE, "run1")
    told: list[str] = []
    old.on_fault = told.append
    source = list(arrived(units(200)))
    for each in source[:60]:
        old.push(each)
    new = await found.begin(PLACE, "run1")
    assert "taken over" in told[0]
    old.push(source[60])  # too late: it is not the camera's connection any more
    for each in source[30:]:  # sends again what it knows nothing of
        new.push(each)
    await new.finish("unplugged")
    assert new.duplicates == 30
    chunks = rows(store)
    numbers = [(chunk.first_number, chunk.last_number) for chunk in chunks]
    assert numbers == [(0, 49), (50, 59), (60, 124), (125, 174), (175, 199)]
    assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == []


async def test_after_a_restart_it_goes_on_where_it_was(tmp_path: Path) -> None:
    source = list(arrived(units(200)))
    with opened(tmp_path / "chunks") as store:
        first = await recorder(store).begin(PLACE, "run1")
        for each in source[:90]:
            first.push(each)
        await first.finish("storage was stopped")
    with opened(tmp_path / "chunks") as store:
        again = await recorder(store).begin(PLACE, "run1")
        for each in source[80:]:
            again.push(each)
        await again.finish("unplugged")
        assert again.duplicates == 10
        numbers = [n for c in rows(store) for n in range(c.first_number, c.last_number + 1)]
        assert numbers == list(range(200))


async def test_another_run_has_its_own_numbers(store: Store) -> None:
    found = recorder(store)
    first = await found.begin(PLACE, "run1")
    for each in arrived(units(50, first=100)):
        first.push(each)
    await first.finish("the camera was switched off")
    second = await found.begin(PLACE, "run2")
    for each in arrived(units(50, start_us=START_US + 60_000_000)):
        second.push(each)
    await second.finish("unplugged")
    assert [chunk.run for chunk in rows(store)] == ["run1", "run2"]
    gap = Gap(START_US + 2_000_000, START_US + 60_000_000, "the camera was switched off")
    assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == [gap]


async def test_a_camera_whose_clock_was_set_begins_a_chunk(store: Store) -> None:
    recording = await recorder(store, None).begin(PLACE, "run1")
    for each in arrived(units(50)):
        recording.push(each)
    for each in arrived(units(50, start_us=START_US - 60_000_000, first=50)):
        recording.push(each._replace(stepped=each.unit.number == 50))
    await recording.finish("unplugged")
    early, late = rows(store)
    assert (early.first_number, late.first_number) == (50, 0)
    (gap,) = store.index.call(Database.gaps, PLACE, 0, 1 << 60)
    assert gap.to_us < gap.from_us


class Slow(Disk):
    def sync(self, descriptor: int) -> None:
        pass


class Full(Disk):
    full = False

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, buffers)


async def test_a_disk_that_refuses_ends_the_recording_and_is_told(tmp_path: Path) -> None:
    disk = Full()
    with opened(tmp_path / "chunks", disk=disk) as store:
        found = recorder(store)
        recording = await found.begin(PLACE, "run1")
        faults: asyncio.Queue[str] = asyncio.Queue()
        recording.on_fault = faults.put_nowait
        source = list(arrived(units(100)))
        for each in source[:30]:
            recording.push(each)
        while not store.index.call(Database.footprint) or not found.live:
            await asyncio.sleep(0.01)
        disk.full = True
        for each in source[30:]:
            recording.push(each)
        async with asyncio.timeout(5):
            assert "No space left" in await faults.get()
        assert found.trouble() is not None
        await recording.finish("the disk was full")
        assert len(rows(store)) == 1
        assert rows(store)[0].last_number == 24


async def test_more_than_the_disk_takes_is_told_to_the_socket(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        recording = await recorder(store, None).begin(PLACE, "run1")
        pressure: list[bool] = []
        recording.on_pressure = pressure.append
        for each in arrived(units(1000, size=50_000)):
            recording.push(each)
        assert pressure
        assert pressure[0] is True
        await recording.finish("unplugged")
        assert pressure[-1] is False
        assert rows(store)[-1].last_number == 999
