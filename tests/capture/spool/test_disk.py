"""Segments on a real disk, and on one that refuses."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from capture.samples import sound, unit
from media.clips import clip
from ucam.capture.run import Run
from ucam.capture.spool import disk as disk_module
from ucam.capture.spool import files
from ucam.capture.spool.disk import SMALLEST_SEGMENT_BYTES, DiskSpool
from ucam.capture.spool.files import Segment
from ucam.capture.spool.reader import DiskReader
from ucam.capture.spool.units import Gaps, Spooled
from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, VideoTrack

TRACK = VideoTrack.h264(clip(b_frames=0).parameter_sets)
A = Run(TRACK, AudioTrack.opus(1), "aaaa", "the camera was started")
B = Run(TRACK, None, "bbbb", "the source ended")
# Five pictures of this size fill a segment.
SIZE = SMALLEST_SEGMENT_BYTES // 5


@asynccontextmanager
async def opened(folder: Path, max_bytes: int = 10_000_000) -> AsyncIterator[DiskSpool]:
    lost: list[Segment] = []
    disk = DiskSpool(folder / "spool", max_bytes, Gaps(), lost.append)
    disk.lost = lost  # type: ignore[attr-defined]
    await disk.open()
    try:
        yield disk
    finally:
        await disk.close()


def items(run: Run, *numbers: int, size: int = 100) -> list[Spooled]:
    return [Spooled(run, unit(number, size=size)) for number in numbers]


async def write(
    disk: DiskSpool, wanted: Sequence[Spooled], position: int = 0, *, urgent: bool = False
) -> None:
    done = 0
    while done < len(wanted):
        written = await disk.write(wanted[done:], position + done, urgent=urgent)
        assert written, disk.fault
        done += written


async def read(
    disk: DiskSpool,
    confirmed: tuple[str, int] | None = None,
    after: tuple[str, int] | None = None,
) -> list[AccessUnit]:
    if not disk.segments:
        return []
    reader = DiskReader(disk, disk.segments[0], confirmed=confirmed, after=after)
    found: list[AccessUnit] = []
    while await reader.fill():
        found += [item.unit for item in reader.ahead]
        reader.ahead.clear()
    return found


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    wanted = [*items(A, *range(12)), Spooled(A, sound(11)), *items(B, *range(3))]
    async with opened(tmp_path) as disk:
        await write(disk, wanted)
        assert [segment.run.id for segment in disk.segments] == ["aaaa", "bbbb"]
        assert await read(disk) == [item.unit for item in wanted]
    async with opened(tmp_path) as disk:
        assert await read(disk) == [item.unit for item in wanted]
        runs = [segment.run for segment in disk.segments]
        assert runs == [A, B]
        assert disk.bytes == sum(path.stat().st_blocks * 512 for path in segments(tmp_path))


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.seg"))


async def test_a_torn_tail_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, [*items(A, *range(10)), *items(B, *range(5))])
    torn = segments(tmp_path)[0]
    os.truncate(torn, torn.stat().st_size - 1)
    with segments(tmp_path)[1].open("ab") as file:
        file.write(bytes(4096))  # what some file systems leave behind after a power cut
    async with opened(tmp_path) as disk:
        assert [each.number for each in await read(disk)] == [*range(9), *range(5)]


async def test_a_file_that_was_just_made_is_no_harm(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(5)))
    folder = tmp_path / "spool"
    (folder / "000000000001.seg").write_bytes(b"")
    (folder / "000000000002.seg").write_bytes(b"ucamspl\x01")
    (folder / "000000000003.seg").write_bytes(b"ucamspl\x09" + bytes(100))
    (folder / "mine.seg.txt").write_text("a stranger's")
    async with opened(tmp_path) as disk:
        assert [each.number for each in await read(disk)] == list(range(5))
        await write(disk, items(B, 0))
        names = sorted(path.name for path in folder.iterdir())
        assert names == [
            *("000000000000.seg", "000000000003.seg", "000000000004.seg"),
            *("lock", "mine.seg.txt"),
        ]


async def test_segments_begin_at_keyframes_and_go_when_they_are_confirmed(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(23), size=SIZE))
        assert [(each.first, each.last) for each in disk.segments] == [
            *((0, 4), (5, 9), (10, 14), (15, 19), (20, 22))
        ]
        assert disk.confirm("aaaa", 8)
        await disk.tidy()
        assert [each.first for each in disk.segments] == [5, 10, 15, 20]
        assert len(segments(tmp_path)) == 4
        assert [each.number for each in await read(disk, ("aaaa", 8))] == list(range(5, 23))
        assert [each.number for each in await read(disk, ("aaaa", 9))] == list(range(10, 23))
        assert [each.number for each in await read(disk, after=("aaaa", 12))] == list(range(13, 23))
        assert not disk.confirm("unknown", 100)
        # What is open stays: more of it comes.
        assert disk.confirm("aaaa", 22)
        assert [each.first for each in disk.segments] == [20]


async def test_confirming_one_run_leaves_the_later_ones(tmp_path: Path) -> None:
    async with opened(tmp_path) as disk:
        await write(disk, [*items(A, *range(5)), *items(B, *range(5))])
    async with opened(tmp_path) as disk:
        # Nobody has looked how far the first goes: it may have more than that.
        assert disk.confirm("aaaa", 3)
        assert len(disk.segments) == 2
        assert len(await read(disk)) == 10
        assert disk.confirm("aaaa", 4)
        assert [each.run.id for each in disk.segments] == ["bbbb"]
        assert disk.confirm("bbbb", 4)


async def test_the_oldest_goes_when_maxspace_is_reached(tmp_path: Path) -> None:
    max_bytes = 8 * SMALLEST_SEGMENT_BYTES + (64 << 10)
    async with opened(tmp_path, max_bytes) as disk:
        for start in range(0, 100, 5):
            await write(disk, items(A, *range(start, start + 5), size=SIZE), start)
            used = sum(path.stat().st_blocks * 512 for path in (tmp_path / "spool").iterdir())
            assert used <= max_bytes
        kept = [each.number for each in await read(disk)]
        assert kept == list(range(kept[0], 100))
        assert kept[0] % 5 == 0
        assert len(kept) >= 25
        lost: list[Segment] = disk.lost  # type: ignore[attr-defined]
        assert [(each.first, each.last) for each in lost] == [
            (first, first + 4) for first in range(0, kept[0], 5)
        ]


async def test_a_disk_that_others_fill_keeps_what_it_has_until_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "RETRY_S", 0.0)
    room = 4 * SMALLEST_SEGMENT_BYTES

    def free(folder: Path) -> int:
        return room - sum(path.stat().st_size for path in folder.glob("*.seg"))

    monkeypatch.setattr(files, "free_bytes", free)
    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(15), size=SIZE))
        # Full: told, and nothing that is there goes.
        assert await disk.write(items(A, *range(15, 20), size=SIZE), 15) == 0
        assert disk.fault is not None
        assert "No space left" in disk.fault
        assert [each.number for each in await read(disk)] == list(range(15))
        # Memory is full, too: the oldest goes, for as much as is new.
        await write(disk, items(A, *range(15, 60), size=SIZE), 15, urgent=True)
        assert disk.fault is None
        kept = [each.number for each in await read(disk)]
        assert kept == list(range(kept[0], 60))
        assert 40 <= kept[0] <= 50
        room = 0
        await write(disk, items(A, *range(60, 65), size=SIZE), 60, urgent=True)


async def test_a_disk_that_fails_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "RETRY_S", 0.0)
    real = os.fdatasync

    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with opened(tmp_path) as disk:
        await write(disk, items(A, *range(7)))
        monkeypatch.setattr(os, "fdatasync", broken)
        assert await disk.write(items(A, 7, 8), 7) == 0
        assert disk.fault == f"{tmp_path}/spool: Input/output error"
        monkeypatch.setattr(os, "fdatasync", real)
        # The file that failed isn't trusted any more: a new one begins with the group.
        assert not disk.continues(items(A, 7)[0], 7)
        await write(disk, items(A, *range(5, 12)), 5)
        assert disk.fault is None
        assert [each.number for each in await read(disk)] == list(range(12))
    async with opened(tmp_path) as disk:
        assert [each.number for each in await read(disk)] == list(range(12))


async def test_a_folder_that_cant_be_made_or_is_in_use_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    async with opened(tmp_path) as disk:
        assert disk.fault is not None
        assert "File exists" in disk.fault
    (tmp_path / "spool").unlink()
    async with opened(tmp_path) as disk, opened(tmp_path) as second:
        assert disk.fault is None
        assert second.fault is not None
        assert "another process" in second.fault


async def test_a_write_that_hangs_does_not_hang_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "HANGS_S", 0.05)
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        hold.read_bytes()  # until somebody writes
        real(descriptor)

    async with opened(tmp_path) as disk:
        await write(disk, items(A, 0))
        monkeypatch.setattr(os, "fdatasync", slow)
        writing = asyncio.create_task(disk.write(items(A, 1), 1))
        async with asyncio.timeout(30):
            while disk.fault is None:
                await asyncio.sleep(0.01)
        assert "has not answered" in disk.fault
        monkeypatch.setattr(os, "fdatasync", real)
        await asyncio.to_thread(hold.write_bytes, b"")
        assert await writing == 1
        assert disk.fault is None
