"""Segments that are read while others write, end, or spoil them; see `test_disk` for the rest."""

from pathlib import Path

from capture.spool.test_disk import SIZE, A, B, items, opened, write
from ucam.capture.spool.reader import DiskReader


def drain(reader: DiskReader) -> list[tuple[str, int]]:
    found = [(item.run.id, item.unit.number) for item in reader.ahead]
    reader.ahead.clear()
    return found


async def test_it_follows_what_is_being_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(3)))
        reader = DiskReader(disk, disk.segments[0])
        assert await reader.fill()
        assert drain(reader) == [("aaaa", number) for number in range(3)]
        assert not await reader.fill()
        assert (reader.position, reader.end) == (3, 3)
        await write(disk, items(A, 3, 4), 3)
        assert await reader.fill()
        assert drain(reader) == [("aaaa", 3), ("aaaa", 4)]
        await write(disk, items(B, *range(2)), 5)
        assert await reader.fill()
        assert drain(reader) == [("bbbb", 0), ("bbbb", 1)]
        assert reader.end == 7


async def test_what_stands_twice_is_given_once(tmp_path: Path) -> None:
    """After an error a segment begins anew, with the whole group."""
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(8)))
        await disk.close_segment()
        await write(disk, items(A, *range(5, 11)), 5)
        reader = DiskReader(disk, disk.segments[0], after=("aaaa", 3))
        found = []
        while await reader.fill():
            found += drain(reader)
        assert found == [("aaaa", number) for number in range(4, 11)]


async def test_a_segment_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(15), size=SIZE))
        assert len(disk.segments) == 3
        disk.segments[1].path.unlink()
        reader = DiskReader(disk, disk.segments[0])
        found = []
        while await reader.fill():
            found += drain(reader)
        assert found == [("aaaa", number) for number in (*range(5), *range(10, 15))]
        assert [each.failed for each in disk.segments] == [False, True, False]


async def test_of_an_earlier_process_nobody_knows_the_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(5)))
    async with opened(tmp_path) as disk:
        (segment,) = disk.segments
        assert (segment.last, segment.last_us) == (None, None)
        reader = DiskReader(disk, segment)
        assert await reader.fill()
        assert drain(reader) == [("aaaa", number) for number in range(5)]
        assert (reader.position, reader.end) == (None, None)
        assert (segment.last, segment.last_us) == (4, 400_000)
