import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from media.clips import frame_md5
from storage.helpers import PLACE, START_US, cut, opened, sealer, units
from ucam.media.scan import scan
from ucam.storage import schema
from ucam.storage.cutter import CloseChunk, Cutter
from ucam.storage.database import Database
from ucam.storage.disk import Disk
from ucam.storage.inspection import Inspector
from ucam.storage.layout import INDEX
from ucam.storage.rebuild import UNKNOWN
from ucam.storage.records import Chunk, Durable, Gap, Totals
from ucam.storage.recovery import LOST_FILE, recover, set_aside_if_damaged
from ucam.storage.rotation import blocks


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage that was killed: one closed chunk of 2 s, and 4 s in a `.part`."""
    root = tmp_path_factory.mktemp("killed") / "chunks"
    with opened(root) as store:
        actions = cut(Cutter(2_000_000, None), units(50))
        actions += cut(Cutter(None, None), units(100, start_us=START_US + 2_000_000, first=50))
        assert isinstance(actions.pop(), CloseChunk)
        writer = store.write(actions)
        descriptor = writer._descriptor
        store.disk.close(descriptor)
    return root


def copy(interrupted: Path, tmp_path: Path) -> tuple[Path, Path]:
    root = tmp_path / "chunks"
    shutil.copytree(interrupted, root)
    (part,) = root.rglob("*.part")
    return root, part


def test_a_part_is_closed_like_any_other(interrupted: Path, tmp_path: Path) -> None:
    root, part = copy(interrupted, tmp_path)
    with opened(root) as store:
        assert not part.exists()
        first, second = store.index.call(lambda database: list(database.all_chunks()))
        assert (second.first_number, second.last_number) == (50, 149)
        assert second.id == START_US + 2_000_000
        assert second.duration_us == 4_000_000
        path = store.files()[1]
        assert path.name.endswith("_4.000.mp4")
        assert len(frame_md5(path)) == 100
        assert scan(path.read_bytes()).indexed
        last = Durable("run1", 149, START_US + 5_960_000)
        assert store.index.call(Database.durable, PLACE) == last
        assert first.end_us == second.id
    with opened(root) as again:
        assert again.told == []


def test_cut_anywhere_it_keeps_each_whole_fragment(interrupted: Path, tmp_path: Path) -> None:
    (part,) = interrupted.rglob("*.part")
    whole = part.read_bytes()
    fragments = scan(whole).fragments
    source = random.Random(7)
    sizes = sorted(source.randrange(len(whole)) for _ in range(25))
    sizes += [fragments[1].offset - 1, fragments[1].offset, fragments[1].offset + 1, 0, 1]
    for number, size in enumerate(sizes):
        root, cut_part = copy(interrupted, tmp_path / str(number))
        cut_part.write_bytes(whole[:size])
        kept = sum(1 for fragment in fragments if fragment.offset + fragment.size <= size)
        with opened(root) as store:
            chunks = store.index.call(lambda database: list(database.all_chunks()))
            assert not list(root.rglob("*.part"))
            assert len(chunks) == (2 if kept else 1)
            assert len(store.files()) == len(chunks)
            durable = store.index.call(Database.durable, PLACE)
            assert durable is not None
            assert durable.number == 49 + 25 * kept
            if kept:
                assert chunks[1].bytes == store.files()[1].stat().st_size
                assert scan(store.files()[1].read_bytes()).valid_length == chunks[1].bytes


def test_zeros_where_the_disk_had_no_time_are_cut_off(interrupted: Path, tmp_path: Path) -> None:
    root, part = copy(interrupted, tmp_path)
    data = bytearray(part.read_bytes())
    last = scan(data).fragments[-1]
    data[last.offset + last.size - 3000 :] = bytes(3000)
    part.write_bytes(data)
    with opened(root) as store:
        durable = store.index.call(Database.durable, PLACE)
        assert durable is not None
        assert durable.number == 124


def test_a_half_written_sidx_costs_nothing(interrupted: Path, tmp_path: Path) -> None:
    root, part = copy(interrupted, tmp_path)
    data = bytearray(part.read_bytes())
    held = scan(data)
    assert held.index is not None
    offset, _ = held.index
    data[offset : offset + 8] = (100).to_bytes(4) + b"sidx"
    part.write_bytes(data)
    with opened(root) as store:
        durable = store.index.call(Database.durable, PLACE)
        assert durable is not None
        assert durable.number == 149
        assert len(frame_md5(store.files()[1])) == 100


def test_closed_but_without_a_row(interrupted: Path, tmp_path: Path) -> None:
    """The power went between renaming and inserting."""
    root, _ = copy(interrupted, tmp_path)
    with opened(root) as store:
        rows = store.index.call(lambda database: list(database.all_chunks()))
        durable = store.index.call(Database.durable, PLACE)
        store.index.call(Database.remove, [rows[1].id])
    with opened(root) as store:
        assert store.index.call(lambda database: list(database.all_chunks())) == rows
        assert store.index.call(Database.durable, PLACE) == durable
        assert len(store.told) == 1
        assert "taken in" in store.told[0]


def test_a_row_without_a_file_goes_and_is_told(interrupted: Path, tmp_path: Path) -> None:
    root, _ = copy(interrupted, tmp_path)
    (closed,) = root.rglob("*.mp4")
    closed.unlink()
    with opened(root) as store:
        assert "is missing" in store.told[0]
        gap = Gap(START_US, START_US + 2_000_000, LOST_FILE)
        assert store.index.call(Database.gaps, PLACE, 0, 1 << 60) == [gap]
        (left,) = store.index.call(lambda database: list(database.all_chunks()))
        assert left.first_number == 50


def test_a_file_of_another_size_is_read_anew(interrupted: Path, tmp_path: Path) -> None:
    root, _ = copy(interrupted, tmp_path)
    (closed,) = root.rglob("*.mp4")
    closed.write_bytes(closed.read_bytes()[:-10])
    with opened(root) as store:
        chunks = store.index.call(lambda database: list(database.all_chunks()))
        assert chunks[0].last_number == 24
        assert chunks[0].bytes == store.files()[0].stat().st_size
        assert store.files()[0].name.endswith("_1.000.mp4")


def test_a_begun_deletion_is_ended(interrupted: Path, tmp_path: Path) -> None:
    root, _ = copy(interrupted, tmp_path)
    with opened(root) as store:
        store.index.call(Database.mark_leaving, [START_US])
    with opened(root) as store:
        assert len(store.files()) == 1
        assert [c.first_number for c in store.index.call(lambda d: list(d.all_chunks()))] == [50]


def test_a_lost_index_is_made_from_the_files(interrupted: Path, tmp_path: Path) -> None:
    root, _ = copy(interrupted, tmp_path)
    with opened(root) as store:
        rows = store.index.call(lambda database: list(database.all_chunks()))
        durable = store.index.call(Database.durable, PLACE)
    (root / INDEX).unlink()
    with opened(root) as store:
        assert store.index.call(lambda database: list(database.all_chunks())) == rows
        assert store.index.call(Database.durable, PLACE) == durable


def test_a_damaged_index_is_set_aside(interrupted: Path, tmp_path: Path) -> None:
    root, _ = copy(interrupted, tmp_path)
    assert set_aside_if_damaged(root) is None
    (root / INDEX).write_bytes(b"x" * 5000)
    told = set_aside_if_damaged(root)
    assert told is not None
    assert "made anew" in told
    with opened(root) as store:
        assert len(store.index.call(lambda database: list(database.all_chunks()))) == 2


def test_what_cannot_be_read_is_set_aside_not_deleted(interrupted: Path, tmp_path: Path) -> None:
    root, part = copy(interrupted, tmp_path)
    part.write_bytes(b"x" * 2_000_000)
    with opened(root) as store:
        assert any("set aside" in sentence for sentence in store.told)
        assert list(root.rglob("*.damaged"))
        assert store.space.total > 2_000_000, "it still counts"
    with opened(root) as store:
        assert "not ucam's" in store.told[0]


def test_a_smaller_maxspace_makes_room_at_once(tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    with opened(root) as store:
        store.record(500, size=4000)
    before = sum(path.stat().st_size for path in root.rglob("*.mp4"))
    with opened(root, maxspace=2_000_000) as again:
        assert before > 1_900_000
        assert again.space.total <= 2_000_000
        assert again.files()


def many(root: Path, count: int = 12) -> list[Chunk]:
    """A storage with so many chunks of 2 s."""
    with opened(root) as store:
        store.record(50 * count)
        rows: list[Chunk] = store.index.call(lambda database: list(database.all_chunks()))
    return rows


def test_an_index_is_made_anew_with_every_row_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    with opened(root) as store:
        store.record(150)
        store.record(100, start_us=START_US + 60_000_000, first=170)  # a hole in time and numbers
        rows = store.index.call(lambda database: list(database.all_chunks()))
        durable = store.index.call(Database.durable, PLACE)
    (root / INDEX).unlink()
    shown: list[tuple[int, int]] = []
    database = Database(root / INDEX)
    recover(root, database, Disk(), sealer(root), lambda done, total: shown.append((done, total)))
    assert list(database.all_chunks()) == rows
    assert database.durable(PLACE) == durable
    (gap,) = database.gaps(PLACE, 0, 1 << 60)
    assert (gap.to_us, gap.reason) == (START_US + 60_000_000, UNKNOWN)
    assert shown[-1][1] == 5
    assert database.problems() == []
    database.close()


def test_with_very_many_chunks_a_start_looks_at_what_was_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "chunks"
    rows = many(root)
    with opened(root) as store:
        actions = cut(Cutter(None, None), units(100, start_us=START_US + 24_000_000, first=600))
        assert isinstance(actions.pop(), CloseChunk)
        writer = store.write(actions)
        store.disk.close(writer._descriptor)
    before = sum(1 for _ in root.rglob("*") if _.is_dir()) + 1
    monkeypatch.setattr("ucam.storage.recovery.MOST_COMPARED", 5)
    monkeypatch.setattr("ucam.storage.recovery.walk", None)  # nothing is walked through
    database = Database(root / INDEX)
    found = recover(root, database, Disk(), sealer(root))
    assert not found.compared
    assert found.folders == before
    kept = list(database.all_chunks())
    assert kept[:-1] == rows
    assert kept[-1].last_number == 699
    assert database.begun() == []
    files = [path.stat().st_size for path in root.rglob("*.mp4")]
    assert found.closed == sum(blocks(size) for size in files)
    database.close()


def test_the_rest_is_looked_at_while_it_records(tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    rows = many(root)
    with opened(root) as store:
        files = store.files()
        files[3].unlink()
        store.index.call(Database.remove, [rows[5].id])
        store.index.call(Database.opened, PLACE, rows[7].id)
        store.index.call(Database.remove, [rows[7].id])
        store.index.call(Database.opened, PLACE, rows[7].id)
        inspector = Inspector(root, store.index, store.space, store.disk)
        inspector.start()
        inspector._thread.join(5)
        inspector.stop()
        kept = [chunk.id for chunk in store.index.call(lambda d: list(d.all_chunks()))]
        assert rows[3].id not in kept
        assert rows[5].id in kept
        assert rows[7].id not in kept, "is just being closed"
        gaps = store.index.call(Database.gaps, PLACE, 0, 1 << 60)
        assert gaps == [Gap(rows[3].id, rows[3].end_us, LOST_FILE)]


def test_an_index_of_an_older_ucam_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / INDEX
    connection = sqlite3.connect(path)
    for statement in schema._FIRST.split(";\n"):
        connection.execute(statement)
    device = "1, 'studio', 'cam001@studio.loc', 'r', 9, 5, 7"
    connection.execute(f"INSERT INTO devices VALUES ({device})")
    connection.execute("INSERT INTO runs VALUES (1, 1, 'r', 'avc1.640028', 1920, 1080)")
    connection.execute("INSERT INTO chunks VALUES (5, 1, 1, 60000000, 5000, 0, 9, 0, x'')")
    connection.execute("PRAGMA user_version=1")
    connection.commit()
    connection.close()
    database = Database(path)
    (camera,) = database.cameras()
    assert camera.totals == Totals(1, 5000, 60_000_000, 8192)
    assert database.durable(PLACE) == Durable("r", 9, 5)
    database.close()
