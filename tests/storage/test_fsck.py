from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, cut, opened, units
from ucam.base import config
from ucam.media.scan import scan
from ucam.storage.config import StorageConfig
from ucam.storage.cutter import Cutter
from ucam.storage.database import Database
from ucam.storage.fsck import look
from ucam.storage.layout import INDEX
from ucam.storage.records import Gap


def configured(root: Path, maxspace: str = "20MB") -> StorageConfig:
    text = f"""
    [device]
    jid = "storage@studio.loc"
    location = "studio"
    [web]
    keys-file = "jwks.json"
    issuer = "https://cams.test"
    [storage]
    path = "{root}"
    maxspace = "{maxspace}"
    """
    return config.parse(text, StorageConfig, source=root / "storage.toml")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three chunks of 2 s, a told gap, another one."""
    root = tmp_path / "chunks"
    with opened(root) as store:
        store.record(150)
        store.index.call(
            Database.add_gap, PLACE, Gap(START_US + 6_000_000, START_US + 60_000_000, "unplugged")
        )
        store.write(cut(Cutter(None, None), units(50, start_us=START_US + 60_000_000, first=150)))
    return root


@pytest.fixture
def database(root: Path) -> Iterator[Database]:
    found = Database(root / INDEX)
    yield found
    found.close()


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.mp4"))


def test_every_invariant_holds(root: Path) -> None:
    assert look(configured(root)) == []


def test_no_index(tmp_path: Path) -> None:
    (problem,) = look(configured(tmp_path))
    assert "no index" in problem


def test_a_row_without_a_file(root: Path) -> None:
    files(root)[1].unlink()
    (problem,) = look(configured(root))
    assert "no such file" in problem


def test_a_file_without_a_row(root: Path, database: Database) -> None:
    row = database.chunk(START_US)
    database.remove([START_US])
    assert row is not None
    (problem,) = look(configured(root))
    assert problem == f"{files(root)[0]}: is not in the index"


def test_another_size(root: Path) -> None:
    with files(root)[0].open("ab") as file:
        file.write(b"more")
    assert any("in the index" in problem for problem in look(configured(root)))
    assert any("are no fragment" in problem for problem in look(configured(root)))


def test_more_than_maxspace(root: Path) -> None:
    (problem,) = look(configured(root, "50kB"))
    assert "more than maxspace" in problem


def test_pictures_that_do_not_decode(root: Path) -> None:
    path = files(root)[0]
    data = bytearray(path.read_bytes())
    first = scan(data).fragments[0]
    # The first picture's NAL unit keeps its length and loses its sense.
    at = first.offset + first.size // 2
    begin = data.index(b"mdat", first.offset) + 8
    data[begin : begin + 4000] = b"\x65" + b"\xff" * 3999
    assert begin < at
    path.write_bytes(data)
    assert any("decode" in problem for problem in look(configured(root)))


def test_a_gap_without_a_reason(root: Path, database: Database) -> None:
    database._db.execute("DELETE FROM gaps")
    (problem,) = look(configured(root))
    assert "54.0 s are missing" in problem


def test_an_overlap_without_a_told_step(root: Path) -> None:
    with opened(root) as store:
        store.write(cut(Cutter(None, None), units(50, start_us=START_US + 1_000_001, first=200)))
    # The writer tells the step back of the clock.
    assert look(configured(root)) == []
    database = Database(root / INDEX)
    database._db.execute("DELETE FROM gaps WHERE to_us < from_us")
    database.close()
    assert any("overlaps" in problem for problem in look(configured(root)))


def test_pictures_that_are_not_counted(root: Path, database: Database) -> None:
    database._db.execute(
        "UPDATE chunks SET last_number = last_number + 1 WHERE id = ?", (START_US,)
    )
    (problem,) = look(configured(root))
    assert "holds 50 pictures" in problem
