"""The camera's disk loses its power: what the spool had counted as written is there afterwards.

An ext4 on a loop device, cut by its own shutdown ioctl (nothing more reaches the device, the
journal isn't flushed). How often: UCAM_FAULTS_CUTS_OF_POWER.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.samples import unit
from capture.spool.test_disk import A, read
from faults.counts import count
from faults.loop_disk import LoopDisk, loop_disk
from ucam.capture.spool import files
from ucam.capture.spool.disk import DiskSpool
from ucam.capture.spool.units import Gaps, Spooled
from ucam.media.access_unit import AccessUnit

TIMES = count("CUTS_OF_POWER", 4)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, 48) as made:
        yield made


def spool(disk: LoopDisk) -> DiskSpool:
    return DiskSpool(disk.path / "spool", 40_000_000, Gaps(), lambda _: None)


async def write_until_cut(disk: LoopDisk, first: int, chance: random.Random) -> int:
    """How many pictures counted as written; in batches, as they come in four times a second."""
    writing = spool(disk)
    await writing.open()
    number = first
    for _ in range(chance.randint(1, 60)):
        items = [Spooled(A, unit(number + n, size=9000)) for n in range(chance.randint(1, 8))]
        while items:
            done = await writing.write(items, number - first)
            if not done:
                assert writing.fault is None, writing.fault
            items = items[done:]
            number += done
    disk.cut()
    await writing.close()
    return number


async def kept(disk: LoopDisk) -> list[AccessUnit]:
    reading = spool(disk)
    await reading.open()
    assert reading.fault is None
    found = await read(reading)
    await reading.close()
    return found


async def test_what_counted_as_written_is_there(disk: LoopDisk) -> None:
    chance = random.Random(count("SEED", 1))
    written: set[int] = set()
    first = 0
    for _ in range(TIMES):
        number = await write_until_cut(disk, first, chance)
        written |= set(range(first, number))
        disk.unmount()
        disk.mount()
        found = [each.number for each in await kept(disk)]
        assert found == sorted(written)
        assert all(len(each.data) == 9004 for each in await kept(disk))
        first = -(-number // 5) * 5  # the next life begins with a keyframe


async def test_without_a_sync_it_would_be_lost(
    disk: LoopDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut is a real one: this is what it would do."""
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)
    monkeypatch.setattr(files, "sync_directory", lambda _path: None)
    number = await write_until_cut(disk, 0, random.Random(1))
    disk.unmount()
    disk.mount()
    assert len(await kept(disk)) < number
