import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from media.clips import frame_md5
from storage.helpers import PLACE, START_US, Store, cut, opened, units
from ucam.media.scan import scan
from ucam.storage.cutter import AddFragment, Cutter, OpenChunk
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.layout import Place
from ucam.storage.records import Chunk, Durable, Gap
from ucam.storage.rotation import NoSpace
from ucam.storage.writer import WriteFault


class Watched(Disk):
    """Notes what is done, and fails when it is told to."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.short = False
        self.full = False

    def make_folders(self, root: Path, relative: Path) -> int:
        self.steps.append("folders")
        return super().make_folders(root, relative)

    def create(self, path: Path) -> int:
        self.steps.append(f"create {path.suffix}")
        return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        self.steps.append("write")
        if self.full:
            os.write(descriptor, b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.short:
            return os.write(descriptor, buffers[0][: max(1, len(buffers[0]) // 2)])
        return super().write(descriptor, buffers)

    def overwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        self.steps.append(f"overwrite {data[4:8].decode()}")
        super().overwrite(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self.steps.append("sync")
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self.steps.append(f"rename {new.suffix}")
        super().rename(old, new)

    def sync_folder(self, path: Path) -> None:
        self.steps.append("sync folder")
        super().sync_folder(path)

    def unlink(self, path: Path) -> None:
        self.steps.append(f"unlink {path.suffix}")
        super().unlink(path)


def test_the_steps_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Watched()
    with opened(tmp_path / "chunks", disk=disk) as store:
        add_chunk = Database.add_chunk

        def noted(self: Database, chunk: Chunk, durable: Durable, gap: Gap | None = None) -> None:
            disk.steps.append("row")
            add_chunk(self, chunk, durable, gap)

        monkeypatch.setattr(Database, "add_chunk", noted)
        told_after: list[int] = []
        store.durable = _Noting(disk.steps, told_after)
        store.record(50)
        first = ["folders", "create .part", "write", "sync", "sync folder"]
        closing = ["overwrite sidx", "sync", "rename .mp4", "sync folder", "row"]
        assert disk.steps == [*first, "write", "sync", "write", "sync", *closing]
        # What is told as durable was synced, and so were the file's name and its folders.
        assert [disk.steps[:count][-1] for count in told_after] == ["sync", "sync"]


class _Noting(list[Durable]):
    def __init__(self, steps: list[str], after: list[int]) -> None:
        self._steps, self._after = steps, after

    def append(self, durable: Durable) -> None:
        self._after.append(len(self._steps))
        super().append(durable)


def test_the_file_is_what_was_sent(store: Store) -> None:
    store.record(50)
    (path,) = store.files()
    assert path.name == "20261122T053000.123456Z_2.000.mp4"
    assert len(frame_md5(path)) == 50
    held = scan(path.read_bytes())
    assert held.indexed
    assert held.run is not None
    assert (held.run.run, held.run.first_number) == ("run1", 0)
    assert not store.files("*.part")


def test_the_row_says_what_the_file_holds(store: Store) -> None:
    store.record(50, first=100)
    (path,) = store.files()
    (chunk,) = store.index.call(lambda database: list(database.all_chunks()))
    assert chunk.id == START_US
    assert chunk.bytes == path.stat().st_size
    assert chunk.duration_us == 2_000_000
    assert (chunk.first_number, chunk.last_number) == (100, 149)
    assert (chunk.width, chunk.height) == (320, 240)
    durable = Durable("run1", 149, START_US + 1_960_000)
    assert store.durable[-1] == store.index.call(Database.durable, PLACE) == durable
    assert store.space.total >= sum(file.stat().st_size for file in store.root.rglob("*.*"))


def test_a_disk_that_takes_less_than_offered_gets_the_rest(tmp_path: Path) -> None:
    disk = Watched()
    disk.short = True
    with opened(tmp_path / "chunks", disk=disk) as store:
        store.record(50)
        (path,) = store.files()
        assert len(frame_md5(path)) == 50


def test_a_full_disk_takes_nothing_back_of_what_is_durable(tmp_path: Path) -> None:
    disk = Watched()
    with opened(tmp_path / "chunks", disk=disk) as store:
        writer = store.writer()
        opening, first, second, _ = cut(Cutter(None, None), units(50))
        assert isinstance(opening, OpenChunk)
        assert isinstance(first, AddFragment)
        assert isinstance(second, AddFragment)
        writer.open(opening, "")
        writer.append(first)
        disk.full = True
        with pytest.raises(WriteFault, match="No space"):
            writer.append(second)
        assert store.durable[-1].number == 24
        disk.full = False
        writer.close()
        (path,) = store.files()
        assert len(frame_md5(path)) == 25


def test_two_chunks_that_start_in_one_microsecond(store: Store) -> None:
    other = Place("studio", "cam002@studio.loc")
    store.record(25)
    store.write(cut(Cutter(None, None), units(25)), other)
    chunks = store.index.call(lambda database: list(database.all_chunks()))
    assert [chunk.id for chunk in chunks] == [START_US, START_US + 1]


def test_a_chunk_that_got_nothing_leaves_nothing(store: Store) -> None:
    opening = cut(Cutter(None, None), units(1))[0]
    assert isinstance(opening, OpenChunk)
    writer = store.writer()
    before = store.space.total
    writer.open(opening, "")
    assert store.files("*.part")
    writer.close()
    assert not store.files("*.*4")
    assert not store.files("*.part")
    assert store.space.total - before == 4 * 4096, "four folders"


def test_gaps_are_told_with_their_reason(store: Store) -> None:
    store.record(50)
    cutter = Cutter(None, None)
    actions = cutter.begin(cut(cutter, units(1))[0].track, "run2", "unplugged")  # type: ignore[union-attr]
    for unit in units(50, start_us=START_US + 9_000_000):
        actions += cutter.push(unit, None)
    store.write(actions + cutter.end(None))
    assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == [
        Gap(START_US + 2_000_000, START_US + 9_000_000, "unplugged")
    ]


def test_what_follows_closely_is_no_gap(store: Store) -> None:
    store.record(250)
    store.record(50, start_us=START_US + 10_040_000, first=250)
    assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == []


def test_maxspace_is_kept_at_every_step_and_the_oldest_go(tmp_path: Path) -> None:
    sizes: list[int] = []
    root = tmp_path / "chunks"

    class Sampled(Watched):
        def sync(self, descriptor: int) -> None:
            super().sync(descriptor)
            sizes.append(sum(p.stat().st_size for p in root.rglob("*") if p.is_file()))

    with opened(root, maxspace=3_000_000, disk=Sampled()) as store:
        cutter = Cutter(60_000_000, None)
        store.write(cut(cutter, units(1500, size=4000), store.space.chunk_limit()))
        assert max(sizes) <= 3_000_000
        assert max(sizes) > 1_500_000
        kept = store.index.call(lambda database: list(database.all_chunks()))
        assert kept[0].first_number > 0
        assert kept[-1].last_number == 1499
        assert len(kept) == len(store.files())
        assert [a.first_number for a in kept[1:]] == [b.last_number + 1 for b in kept[:-1]]


def test_with_nothing_to_delete_it_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks", maxspace=1_500_000) as store:
        writer = store.writer()
        opening, *parts, _ = cut(Cutter(None, None), units(500, size=4000))
        assert isinstance(opening, OpenChunk)
        writer.open(opening, "")
        with pytest.raises(NoSpace):  # noqa: PT012 - which of them fails doesn't matter
            for part in parts:
                assert isinstance(part, AddFragment)
                writer.append(part)
        writer.close()
        (chunk,) = store.index.call(lambda database: list(database.all_chunks()))
        assert chunk.last_number == store.durable[-1].number
        assert store.space.total <= 1_500_000
