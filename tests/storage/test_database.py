from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US
from ucam.storage.database import DamagedIndex, Database, IndexFault
from ucam.storage.layout import INDEX, Place
from ucam.storage.records import Chunk, Durable, Gap
from ucam.storage.rotation import Candidate
from ucam.storage.sqlite import INDEX_MARGIN

YARD = Place("studio", "cam002@studio.loc")
ELSEWHERE = Place("shop", "cam001@studio.loc")
SECOND = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / INDEX)
    yield found
    found.close()


def chunk(number: int, place: Place = PLACE) -> Chunk:
    start = START_US + number * 60 * SECOND
    return Chunk(
        start, place, 60 * SECOND, 1000, "avc1.640015", 320, 240, "run1", number, number, b"\0\1"
    )


def durable(number: int) -> Durable:
    return Durable("run1", number, START_US + number)


def test_rows_come_back_as_they_were(database: Database) -> None:
    database.add_chunk(chunk(0), durable(0))
    database.add_chunk(chunk(1), durable(1))
    assert database.chunk(START_US) == chunk(0)
    assert list(database.all_chunks()) == [chunk(0), chunk(1)]
    assert database.chunk(5) is None
    assert database.has(START_US)


def test_row_durable_unit_and_gap_stand_or_fall_together(database: Database) -> None:
    database.add_chunk(chunk(0), durable(0))
    with pytest.raises(Exception, match="UNIQUE"):
        database.add_chunk(chunk(0), durable(7), Gap(1, 2, "why"))
    assert database.durable(PLACE) == durable(0)
    assert database.gaps(PLACE, 0, START_US) == []
    assert database.cameras()[0].totals.chunks == 1


def test_it_survives_being_closed(tmp_path: Path) -> None:
    first = Database(tmp_path / INDEX)
    first.add_chunk(chunk(0), durable(9))
    first.close()
    assert [path.name for path in tmp_path.iterdir()] == [INDEX]
    again = Database(tmp_path / INDEX)
    assert again.durable(PLACE) == durable(9)
    assert again.end_us(PLACE) == chunk(0).end_us
    assert again.cameras()[0].totals.bytes == 1000
    again.close()


def test_a_window_finds_what_reaches_into_it(database: Database) -> None:
    for number in (0, 1, 2, 5):
        database.add_chunk(chunk(number), None)
    database.add_chunk(replace(chunk(1, YARD), id=START_US + 61 * SECOND), None)

    def found(begin_s: int, end_s: int, limit: int = 99) -> list[int]:
        chunks = database.chunks(
            PLACE, START_US + begin_s * SECOND, START_US + end_s * SECOND, limit
        )
        return [each.first_number for each in chunks]

    assert found(30, 61) == [0, 1]
    assert found(60, 120) == [1]
    assert found(180, 300) == []
    assert found(180, 301) == [5]
    assert found(-500, 9999) == [0, 1, 2, 5]
    assert found(-500, 9999, limit=2) == [0, 1]
    assert database.chunks(ELSEWHERE, 0, START_US * 2, 9) == []


def test_rotation_takes_the_oldest_of_all_devices_and_their_gaps(database: Database) -> None:
    database.add_chunk(chunk(0), durable(0))
    database.add_chunk(replace(chunk(0, YARD), id=START_US + 1), durable(0))
    database.add_chunk(chunk(2), durable(2), Gap(chunk(0).end_us, chunk(2).id, "unplugged"))
    assert database.oldest(2) == [Candidate(START_US, 1000), Candidate(START_US + 1, 1000)]
    database.mark_leaving([START_US])
    assert database.chunk(START_US) is None
    assert [each.id for each in database.leaving()] == [START_US]
    assert database.oldest(1) == [Candidate(START_US + 1, 1000)]
    database.remove([START_US])
    assert database.leaving() == []
    assert database.gaps(PLACE, 0, START_US * 2) == [], "before the first chunk is no gap"
    assert [camera.totals.chunks for camera in database.cameras()] == [1, 1]
    assert database.durable(PLACE) == durable(2), "what is durable is known all the same"


def test_a_gap_that_turns_out_longer_takes_the_place_of_the_shorter(database: Database) -> None:
    database.add_chunk(chunk(0), None)
    database.add_gap(PLACE, Gap(chunk(0).end_us, chunk(1).id + 5, "unplugged"))
    database.add_gap(PLACE, Gap(chunk(0).end_us, chunk(3).id, "storage was stopped"))
    assert database.gaps(PLACE, 0, START_US * 2) == [
        Gap(chunk(0).end_us, chunk(3).id, "storage was stopped")
    ]


def test_runs_without_chunks_are_forgotten(database: Database) -> None:
    database.add_chunk(chunk(0), None)
    database.add_chunk(replace(chunk(1), width=640), None)
    database.remove([chunk(0).id])
    database.forget_unused_runs()
    assert database.problems() == []
    assert list(database.all_chunks()) == [replace(chunk(1), width=640)]


def test_the_footprint_bounds_what_lies_in_the_folder(tmp_path: Path) -> None:
    database = Database(tmp_path / INDEX)
    for number in range(600):
        bound = database.footprint()
        database.add_chunk(chunk(number), durable(number))
        if number % 3 == 0:
            database.mark_leaving([chunk(number).id])
            database.remove([chunk(number).id])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= bound
    assert bound < 2 * INDEX_MARGIN
    database.close()


def test_what_can_not_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").mkdir()
    with pytest.raises(IndexFault, match="can.t be opened"):
        Database(tmp_path / "index.sqlite")


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b"no database at all" * 1000)
    with pytest.raises(DamagedIndex, match="not usable"):
        Database(tmp_path / INDEX)


def test_an_index_of_a_newer_ucam_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / INDEX)
    database._db.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(IndexFault, match="newer ucam .its version is 99"):
        Database(tmp_path / INDEX)
