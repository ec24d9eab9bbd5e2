import asyncio
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from prometheus_client import REGISTRY

from media.clips import frame_md5
from storage.helpers import PLACE, START_US, Store, arrived, opened, recorder, units
from ucam.media.access_unit import AccessUnit
from ucam.media.scan import scan
from ucam.media.track import AudioTrack
from ucam.storage import recording as recording_module
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.records import Chunk, Durable, Gap
from ucam.storage.room import LOOK_S
from ucam.storage.service import TICK_S
from ucam.storage.stream import Arrived

TOLD_S = 5.0  # within this an operator hears of a disk that refuses


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


@pytest.mark.parametrize(("run", "first"), [("run1", 100), ("run2", 0)])
async def test_a_camera_says_itself_why_something_is_missing(
    store: Store, run: str, first: int
) -> None:
    """Within its run, and before a new one; saying it again changes nothing."""
    found = recorder(store)
    recording = await found.begin(PLACE, "run1")
    for each in arrived(units(50)):
        recording.push(each)
    await recording.finish("unplugged")
    later_us = START_US + 100 * 40_000
    for times in range(2):
        recording = await found.begin(PLACE, run, "the camera's spool was full")
        for each in arrived(units(50 + times * 25, start_us=later_us, first=first)):
            recording.push(each)
        await recording.finish("unplugged")
    gaps = store.index.call(Database.gaps, PLACE, 0, 1 << 60)
    assert gaps == [Gap(START_US + 50 * 40_000, later_us, "the camera's spool was full")]


async def test_who_comes_back_while_the_old_recording_is_still_being_written_repeats_nothing(
    tmp_path: Path,
) -> None:
    released = threading.Event()

    class Hanging(Disk):
        def sync(self, descriptor: int) -> None:
            released.wait(5)

    with opened(tmp_path / "chunks", disk=Hanging()) as store:
        found = recorder(store)
        old = await found.begin(PLACE, "run1")
        source = list(arrived(units(100)))
        for each in source[:60]:
            old.push(each)
        ending = asyncio.create_task(old.finish("unplugged"))
        coming = asyncio.create_task(found.begin(PLACE, "run1"))
        await asyncio.sleep(0.05)
        assert not coming.done(), "what the old one writes isn't known yet"
        released.set()
        new = await coming
        await ending
        for each in source:  # was told of nothing that is durable: sends all again
            new.push(each)
        await new.finish("unplugged")
        assert new.duplicates == 60
        numbers = [(chunk.first_number, chunk.last_number) for chunk in rows(store)]
        assert numbers == [(0, 49), (50, 59), (60, 99)]


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


async def test_sound_that_tells_late_what_it_is_or_changes_begins_a_chunk(store: Store) -> None:
    """Each chunk describes its sound, has no frame of another kind, and no picture is missing."""
    found = recorder(store, None)
    recording = await found.begin(PLACE, "run1")
    kinds = [AudioTrack.aac(bytes.fromhex(config)) for config in ("1190", "1210")]
    for number, picture in enumerate(arrived(units(150))):
        recording.push(picture)
        for half in (0, 1) if number >= 10 else ():
            utc_us = picture.unit.utc_us + half * 20_000
            frame = AccessUnit(b"\1" * 40, 0, utc_us, True, 2 * number + half)
            recording.push_audio(Arrived(frame, kinds[number >= 110], stepped=False))
    await recording.finish("unplugged")
    spans = [(chunk.first_number, chunk.last_number) for chunk in rows(store)]
    assert spans == [(0, 24), (25, 124), (125, 149)]
    assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == []
    rates, counts = [], []
    for path in store.files():
        with av.open(str(path)) as container:
            rates.append([each.sample_rate for each in container.streams.audio])
        counts.append(sum(part.audio for part in scan(path.read_bytes()).fragments))
    assert rates == [[], [48_000], [44_100]]
    # Half a second before the first picture, and until the sound changed or ended.
    assert counts == [0, 25 + 170, 25 + 50]


class Sick(Disk):
    """Refuses steps on demand."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.tries = 0
        self.first_s = 0.0  # when it first refused

    def _step(self, name: str, code: int) -> None:
        if name in self.refuses:
            self.tries += 1
            self.first_s = self.first_s or time.time()
            raise OSError(code, os.strerror(code))

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        self._step("write", errno.ENOSPC)
        return super().write(descriptor, buffers)

    def sync(self, descriptor: int) -> None:
        self._step("sync", errno.EIO)
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._step("rename", errno.EIO)
        super().rename(old, new)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("step", ["write", "sync"])
async def test_a_disk_that_refuses_is_told_and_recording_goes_on_with_it(
    tmp_path: Path, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Sick()
    with opened(tmp_path / "chunks", disk=disk) as store:
        found = recorder(store, None)
        faults = REGISTRY.get_sample_value("ucam_storage_faults_total") or 0
        recording = await found.begin(PLACE, "run1")
        source = list(arrived(units(200)))
        for each in source[:60]:
            recording.push(each)
        await until(lambda: found.durable_now().get(PLACE, Durable("", 0, 0)).number == 49)
        disk.refuses = {step}
        for each in source[60:150]:
            recording.push(each)
        await until(lambda: disk.tries >= 2)
        await until(found.trouble)
        assert "the disk refused" in (found.trouble() or "")  # the status says it
        told = next(each for each in caplog.records if "can't be recorded" in each.message)
        assert 0 <= told.created - disk.first_s <= TOLD_S
        assert (REGISTRY.get_sample_value("ucam_storage_faults_total") or 0) > faults
        assert found.durable_now()[PLACE].number == 49, "what isn't on the disk isn't told"
        disk.refuses = set()
        for each in source[150:]:
            recording.push(each)
        await recording.finish("unplugged")
        found.tick()
        await found.stop()
        spans = [(chunk.first_number, chunk.last_number) for chunk in rows(store)]
        assert spans == [(0, 49), (50, 199)], "nothing is lost, and nothing was tried in place"
        assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == []
        assert not store.files("*.part")
        assert [len(frame_md5(path)) for path in store.files()] == [50, 150]
        kept = sum(path.stat().st_size for path in store.files())
        assert kept <= store.space.total <= kept + (1 << 20) + 32 * 4096


async def test_a_recording_that_ends_while_the_disk_refuses_drops_what_was_not_durable(
    tmp_path: Path,
) -> None:
    disk = Sick()
    with opened(tmp_path / "chunks", disk=disk) as store:
        found = recorder(store, None)
        recording = await found.begin(PLACE, "run1")
        source = list(arrived(units(200)))
        for each in source[:60]:
            recording.push(each)
        await until(lambda: found.durable_now().get(PLACE, Durable("", 0, 0)).number == 49)
        disk.refuses = {"write"}
        for each in source[60:120]:
            recording.push(each)
        await until(found.trouble)
        async with asyncio.timeout(5):
            await recording.finish("unplugged")
        disk.refuses = set()
        assert "No space left" in found.why_away(PLACE)
        again = await found.begin(PLACE, "run1")
        for each in source[40:]:  # the camera sends again what was not confirmed
            again.push(each)
        await again.finish("unplugged")
        numbers = [n for c in rows(store) for n in range(c.first_number, c.last_number + 1)]
        assert numbers == list(range(200))


@pytest.mark.parametrize("step", ["rename", "row"])
async def test_a_chunk_that_the_disk_did_not_let_close_is_closed_without_a_restart(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Sick()
    add_chunk = Database.add_chunk

    def refused(self: Database, *args: Any) -> None:
        if "row" in disk.refuses:
            raise sqlite3.OperationalError("disk I/O error")
        add_chunk(self, *args)

    monkeypatch.setattr(Database, "add_chunk", refused)
    with opened(tmp_path / "chunks", disk=disk) as store:
        found = recorder(store)
        recording = await found.begin(PLACE, "run1")
        source = list(arrived(units(150)))
        disk.refuses = {step}
        for each in source[:60]:
            recording.push(each)
        await until(found.trouble)
        disk.refuses = set()
        for each in source[60:]:
            recording.push(each)
        found.tick()
        await until(lambda: rows(store))
        await recording.finish("unplugged")
        numbers = [n for c in rows(store) for n in range(c.first_number, c.last_number + 1)]
        assert numbers == list(range(150))
        assert len(rows(store)) == len(store.files()) == 3
        assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == []


async def test_a_disk_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Noticed at the first tick after that, told in the room at the next look.
    assert recording_module.HANGS_S + TICK_S + LOOK_S < TOLD_S
    monkeypatch.setattr(recording_module, "HANGS_S", 0.05)
    released = threading.Event()

    class Hanging(Disk):
        def sync(self, descriptor: int) -> None:
            released.wait(5)

    with opened(tmp_path / "chunks", disk=Hanging()) as store:
        found = recorder(store)
        recording = await found.begin(PLACE, "run1")
        for each in arrived(units(60)):
            recording.push(each)
        async with asyncio.timeout(5):
            while not found.trouble():
                await asyncio.sleep(0.01)
                found.tick()
        assert "has not answered" in (found.trouble() or "")
        released.set()
        await recording.finish("unplugged")


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


async def test_why_a_camera_is_away_is_known_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        found = recorder(store)
        recording = await found.begin(PLACE, "run1")
        for each in arrived(units(50)):
            recording.push(each)
        await recording.finish("the camera's token had expired")
    with opened(tmp_path / "chunks") as store:
        found = recorder(store)
        await found.remember_absences()
        again = await found.begin(PLACE, "run2")
        for each in arrived(units(50, start_us=START_US + 60_000_000)):
            again.push(each)
        await again.finish("unplugged")
        (gap,) = store.index.call(Database.gaps, PLACE, 0, 1 << 60)
        assert gap.reason == "the camera's token had expired"
