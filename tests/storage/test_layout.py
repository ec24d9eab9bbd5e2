from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US
from ucam.storage.layout import Place, chunk_path, part_path, read_name, walk


def test_names_as_design_has_them() -> None:
    folder = "studio/cam001@studio.loc/2026-11-22/05"
    assert str(part_path(PLACE, START_US)) == f"{folder}/20261122T053000.123456Z.part"
    closed = chunk_path(PLACE, START_US, 60_033_400)
    assert str(closed) == f"{folder}/20261122T053000.123456Z_60.033.mp4"


@pytest.mark.parametrize("duration_us", [1, 499, 500, 999_499, 60_033_000, 7_200_000_000])
def test_a_name_gives_start_and_duration_back(duration_us: int) -> None:
    name = chunk_path(PLACE, START_US, duration_us).name
    assert read_name(name) == (START_US, (duration_us + 500) // 1000)
    assert read_name(part_path(PLACE, START_US).name) == (START_US, None)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "20261122T053000.123456Z.mp4",
        "20261322T053000.123456Z.part",
        "20261122T053000.123456Z_60.03.mp4",
        "20261122T053000.123456Z_60.033.mp4.damaged",
    ],
)
def test_foreign_names(name: str) -> None:
    assert read_name(name) is None


@pytest.mark.parametrize(
    ("location", "jid"),
    [("..", "a@b"), ("a/b", "a@b"), ("", "a@b"), ("x", "a@b/c"), ("x", "A@b"), ("x", "..@b")],
)
def test_a_place_is_safe_as_a_folder(location: str, jid: str) -> None:
    with pytest.raises(ValueError):
        Place(location, jid)


def test_walk_tells_chunks_from_strangers(tmp_path: Path) -> None:
    chunk = tmp_path / chunk_path(PLACE, START_US, 60_000_000)
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"12345")
    # Right name in the wrong hour: not written by ucam.
    stray = chunk.parent.parent / "06" / chunk.name
    stray.parent.mkdir()
    stray.write_bytes(b"123")
    (tmp_path / "index.sqlite-wal").write_bytes(b"12")
    (tmp_path / "link").symlink_to(chunk)
    found = walk(tmp_path)
    assert [(file.path, file.size, file.place) for file in found.files] == [(chunk, 5, PLACE)]
    assert sorted(found.foreign) == sorted([tmp_path / "link", stray])
    assert found.folders == 6
