"""Where sending goes on: in memory, on the disk, and from the one to the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from capture.samples import sound, unit
from capture.spool.test_disk import A, opened
from ucam.capture.spool.cursor import Cursor
from ucam.capture.spool.disk import DiskSpool
from ucam.capture.spool.memory import Memory
from ucam.capture.spool.units import OVERHEAD_BYTES, Gaps, Spooled

COST = 104 + OVERHEAD_BYTES


@asynccontextmanager
async def both(folder: Path, max_units: int = 1000) -> AsyncIterator[tuple[Memory, DiskSpool]]:
    async with opened(folder) as disk:
        yield Memory(max_units * COST, Gaps()), disk


def add(memory: Memory, first: int, last: int) -> None:
    for number in range(first, last + 1):
        memory.append(Spooled(A, unit(number)))


async def to_disk(memory: Memory, disk: DiskSpool) -> None:
    """What memory has and the disk hasn't, as the spool writes it."""
    while memory.on_disk < memory.end:
        position = memory.on_disk
        memory.on_disk += await disk.write(memory.since(position), position)


async def taken(cursor: Cursor, count: int = 1000) -> list[int]:
    found: list[int] = []
    while len(found) < count and (item := await cursor.look()) is not None:
        assert await cursor.look() is item, "looking takes nothing"
        cursor.take()
        found.append(item.unit.number)
    return found


async def test_in_memory_one_after_the_other() -> None:
    memory = Memory(1000 * COST, Gaps())
    cursor = Cursor(memory, None)
    assert (await cursor.look(), cursor.is_behind) == (None, False)
    add(memory, 0, 6)
    assert cursor.is_behind
    assert await taken(cursor, 4) == [0, 1, 2, 3]
    add(memory, 7, 8)
    assert await taken(cursor) == [4, 5, 6, 7, 8]
    assert not cursor.is_behind
    cursor.to_memory()
    assert await taken(cursor) == list(range(9))


async def test_from_the_disk_into_memory_without_a_hole(tmp_path: Path) -> None:
    async with both(tmp_path, 10) as (memory, disk):
        add(memory, 0, 7)
        await to_disk(memory, disk)
        add(memory, 8, 12)
        await to_disk(memory, disk)
        assert memory.first > 0
        add(memory, 13, 14)  # in memory alone
        cursor = Cursor(memory, disk)
        cursor.to_disk(None)
        assert cursor.is_behind
        assert await taken(cursor) == list(range(15))
        assert not cursor.is_behind


async def test_it_begins_at_the_keyframe_before_what_is_not_confirmed(tmp_path: Path) -> None:
    async with both(tmp_path, 10) as (memory, disk):
        for first in (0, 5, 10):
            add(memory, first, first + 4)
            await to_disk(memory, disk)
        cursor = Cursor(memory, disk)
        cursor.to_disk(("aaaa", 7))
        assert await taken(cursor) == list(range(5, 15))


async def test_what_left_memory_while_it_was_waiting_comes_from_the_disk(tmp_path: Path) -> None:
    async with both(tmp_path, 10) as (memory, disk):
        add(memory, 0, 4)
        cursor = Cursor(memory, disk)
        assert await taken(cursor, 3) == [0, 1, 2]
        for first in (5, 10, 15, 20):
            await to_disk(memory, disk)
            add(memory, first, first + 4)
        assert memory.first > 3
        assert await taken(cursor) == list(range(3, 25)), "none missing, none twice"


async def test_what_was_lost_is_passed_over() -> None:
    memory = Memory(10 * COST, Gaps())
    cursor = Cursor(memory, None)
    add(memory, 0, 4)
    assert await taken(cursor, 3) == [0, 1, 2]
    add(memory, 5, 19)
    first = memory.at(memory.first).unit
    assert first.keyframe
    assert await taken(cursor) == list(range(first.number, 20))


async def test_sound_that_storage_has_is_not_sent_again() -> None:
    memory = Memory(1000 * COST, Gaps())
    for number in range(4):
        memory.append(Spooled(A, unit(number)))
        memory.append(Spooled(A, sound(number)))
    memory.confirm("aaaa", 2)
    cursor = Cursor(memory, None)
    found = []
    while (item := await cursor.look()) is not None:
        cursor.take()
        found.append((item.unit.number, item.unit.audio))
    pictures = [number for number, is_sound in found if not is_sound]
    assert pictures == [0, 1, 2, 3], "the confirmed ones for what refers to them"
    heard = [number for number, is_sound in found if is_sound]
    assert 3 in heard
    assert not {0, 1} & set(heard)
