import shutil
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, cut, opened, units
from ucam.storage.chain import Link, parse_head
from ucam.storage.cutter import CloseChunk, Cutter
from ucam.storage.database import Database
from ucam.storage.evidence import heads
from ucam.storage.layout import CHAIN, CHAIN_GONE, INDEX, chunk_path, places
from ucam.storage.recovery import nothing_shown
from ucam.storage.sealing import KEY_NAME, public_keys, verified
from ucam.storage.verify import Verdict, verify


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six chunks of 2 s."""
    folder = tmp_path_factory.mktemp("recorded")
    with opened(folder / "chunks") as store:
        store.record(300)
    return folder


@pytest.fixture
def root(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "chunks"


def look(root: Path, from_us: int = 0, to_us: int = 1 << 62) -> Verdict:
    assert places(root) == [PLACE]
    return verify(root, PLACE, public_keys(root.parent), from_us, to_us, nothing_shown)


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.mp4"))


def chain(root: Path) -> Path:
    (found,) = root.rglob(CHAIN)
    return found


def test_what_is_as_it_was_recorded(root: Path) -> None:
    found = look(root)
    assert found.problems == []
    assert (found.chunks, found.recovered, found.unsealed) == (6, 0, 0)
    assert "6 chunks, links 0 to 5" in found.summary
    assert (root.parent / KEY_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("where", [lambda _: 40, lambda size: size // 2, lambda size: size - 1])
def test_one_changed_byte(root: Path, where: Callable[[int], int]) -> None:
    path = files(root)[2]
    data = bytearray(path.read_bytes())
    data[where(len(data))] ^= 1
    path.write_bytes(data)
    (problem,) = look(root).problems
    assert str(path) in problem
    assert "not what was recorded" in problem


def test_one_missing_chunk(root: Path) -> None:
    path = files(root)[2]
    path.unlink()
    (problem,) = look(root).problems
    assert str(path) in problem
    assert "missing" in problem


def test_one_missing_chunk_whose_line_and_row_were_taken_out(root: Path) -> None:
    files(root)[2].unlink()
    lines = chain(root).read_text().splitlines(keepends=True)
    chain(root).write_text("".join(lines[:2] + lines[3:]))
    connection = sqlite3.connect(root / INDEX)
    connection.execute("DELETE FROM links WHERE number = 2")
    connection.commit()
    connection.close()
    (problem,) = look(root).problems
    assert "link 2 of the chain is missing" in problem


def test_two_files_that_changed_places(root: Path) -> None:
    one, other = files(root)[1:3]
    one.rename(root / "aside")
    other.rename(one)
    (root / "aside").rename(other)
    problems = look(root).problems
    assert [str(path) in problem for path, problem in zip((one, other), problems, strict=True)]


def test_two_lines_that_changed_places(root: Path) -> None:
    lines = chain(root).read_text().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    chain(root).write_text("".join(lines))
    (problem,) = look(root).problems
    assert "link 1 stands behind link 2" in problem


def test_a_line_that_somebody_wrote_anew(root: Path) -> None:
    text = chain(root).read_text()
    size = files(root)[3].stat().st_size
    chain(root).write_text(text.replace(f".mp4 {size} ", f".mp4 {size + 1} ", 1))
    problems = look(root).problems
    assert any("signature is wrong" in problem for problem in problems)


def test_a_chunk_that_was_never_recorded(root: Path) -> None:
    path = files(root)[2]
    extra = path.with_name("20261122T053009.000000Z_2.000.mp4")
    shutil.copyfile(path, extra)
    (problem,) = look(root).problems
    assert problem == f"{extra}: is not in the chain"


def test_another_key_is_no_key(root: Path) -> None:
    for path in root.parent.glob("evidence-*"):
        path.unlink()
    with opened(root):
        pass  # it has made a new one
    problems = look(root).problems
    assert any("not this storage's" in problem for problem in problems)


def test_only_a_stretch_of_time(root: Path) -> None:
    files(root)[0].unlink()
    found = look(root, START_US + 4_000_000, START_US + 8_000_000)
    assert found.problems == []
    assert found.chunks == 2


def test_the_chain_survives_the_index(root: Path) -> None:
    lines = chain(root).read_text()
    (root / INDEX).unlink()
    assert look(root).problems == []
    with opened(root) as store:
        store.record(50, start_us=START_US + 12_000_000, first=300)
    found = look(root)
    assert found.problems == []
    assert chain(root).read_text().startswith(lines), "nothing was sealed a second time"
    assert (found.chunks, found.recovered) == (7, 0)


def test_a_lost_chain_file_is_told(root: Path) -> None:
    chain(root).unlink()
    found = look(root)
    assert len(found.problems) == 6
    assert "was taken out of its chain file" in found.problems[0]


def test_half_a_line_after_a_power_cut_is_no_alarm(root: Path) -> None:
    with chain(root).open("a") as file:
        file.write("ucam-chunk 1 studio cam")
    assert look(root).problems == []
    with opened(root) as store:
        store.record(50, start_us=START_US + 12_000_000, first=300)
    assert look(root).problems == []
    assert look(root).chunks == 7


def test_a_link_without_a_row_is_taken_over(root: Path) -> None:
    """The power went between the link and the row."""
    database = Database(root / INDEX)
    last = files(root)[-1]
    database.connection.execute("DELETE FROM links WHERE number = 5")
    database.remove([START_US + 10_000_000])
    database.close()
    lines = chain(root).read_text()
    with opened(root) as store:
        assert any(last.name in sentence for sentence in store.told)
    assert chain(root).read_text() == lines
    assert look(root).problems == []


def test_a_recovered_part_says_so(tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    with opened(root) as store:
        actions = cut(Cutter(None, None), units(100))
        assert isinstance(actions.pop(), CloseChunk)
        writer = store.write(actions)
        store.disk.close(writer._descriptor)
    with opened(root) as store:
        assert len(store.files()) == 1
    found = look(root)
    assert found.problems == []
    assert found.recovered == 1
    assert found.last is not None
    assert found.last.kind == "recovered"


def test_rotation_is_no_alarm_and_says_where_the_chain_begins(tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    with opened(root, maxspace=2_000_000) as store:
        store.record(1500, size=4000, chunk_us=2_000_000)
        kept = store.files()
    found = look(root)
    assert found.problems == []
    assert found.chunks == len(kept) < 30
    ((first, last),) = found.gone
    assert first == 0
    assert last + 1 + found.chunks == 30
    # Whoever deletes the oldest himself can't say so.
    kept[0].unlink()
    (problem,) = look(root).problems
    assert str(kept[0]) in problem
    gone = root / PLACE.location / PLACE.jid / CHAIN_GONE
    gone.write_text(gone.read_text().replace(f"0-{last} ", f"0-{last + 1} "))
    assert any("not signed" in problem for problem in look(root).problems)


def test_a_day_that_rotation_has_emptied_leaves_no_folder(tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    day_us = 86_400_000_000
    with opened(root, maxspace=2_000_000) as store:
        store.record(250, size=4000)
        store.record(500, size=4000, start_us=START_US + day_us, first=250)
    assert [path.parent.name for path in root.rglob(CHAIN)] == ["2026-11-23"]
    assert look(root).problems == []
    (root / INDEX).unlink()
    with opened(root, maxspace=2_000_000) as store:
        store.record(50, size=4000, start_us=START_US + day_us + 20_000_000, first=750)
    assert look(root).problems == []


def test_every_line_is_signed_for_what_it_says(root: Path) -> None:
    keys = public_keys(root.parent)
    links = [verified(keys, line) for line in chain(root).read_text().splitlines()]
    for before, after in pairwise(links):
        assert isinstance(before, Link)
        assert isinstance(after, Link)
        assert after.previous == before.digest


def test_a_power_cut_while_rotation_deletes(root: Path) -> None:
    """Marked and unlinked, and not yet said: the next start says it."""
    database = Database(root / INDEX)
    oldest = next(database.all_chunks()).id
    database.mark_leaving([oldest])
    database.close()
    before = look(root)
    assert (before.problems, before.leaving) == ([], 0)
    files(root)[0].unlink()
    cut_off = look(root)
    assert (cut_off.problems, cut_off.leaving) == ([], 1)
    with opened(root):
        pass
    after = look(root)
    assert (after.problems, after.leaving, after.gone) == ([], 0, ((0, 0),))


def test_a_power_cut_before_a_chunk_is_sealed(root: Path) -> None:
    """Renamed, and neither in the chain nor in the index: the next start seals it."""
    last = files(root)[-1]
    lines = chain(root).read_text().splitlines(keepends=True)
    for left in ("", lines[-1][:100]):
        chain(root).write_text("".join(lines[:-1]) + left)
        database = Database(root / INDEX)
        (chunk,) = [each for each in database.all_chunks() if last.name.startswith(stamp(each.id))]
        database.connection.execute("DELETE FROM links WHERE chunk = ?", (chunk.id,))
        database.remove([chunk.id])
        database.opened(PLACE, chunk.id)
        database.close()
        cut_off = look(root)
        assert (cut_off.problems, cut_off.unfinished) == ([], 1)
        with opened(root):
            pass
        after = look(root)
        assert (after.problems, after.unfinished, after.recovered) == ([], 0, 1)
        assert after.chunks == 6


def test_a_chain_that_was_cut_at_its_end(root: Path) -> None:
    """Nobody sees it in the chain alone; who has written down its head does."""
    whole = look(root)
    assert whole.last is not None
    head = parse_head(whole.last.head)
    assert whole.last.head in whole.summary
    last = files(root)[-1]
    lines = chain(root).read_text().splitlines(keepends=True)
    chain(root).write_text("".join(lines[:-1]))
    database = Database(root / INDEX)
    assert heads(database) == {PLACE: whole.last.head}
    database.connection.execute("DELETE FROM links WHERE number = ?", (whole.last.number,))
    database.connection.execute("DELETE FROM chunks WHERE id = (SELECT max(id) FROM chunks)")
    database.close()
    last.unlink()
    assert look(root).problems == []
    keys = public_keys(root.parent)
    (problem,) = verify(root, PLACE, keys, 0, 1 << 62, nothing_shown, head).problems
    assert "link 5, which was its newest once, is not in the chain" in problem
    (problem,) = verify(root, PLACE, keys, 0, 1 << 62, nothing_shown, (4, "0" * 32)).problems
    assert "is another one now" in problem
    before = whole.last.number - 1, whole.last.previous[:32]
    assert verify(root, PLACE, keys, 0, 1 << 62, nothing_shown, before).problems == []


@pytest.mark.parametrize("text", ["", "5", "5-", "x-" + "0" * 32, "5-" + "0" * 31, "5-" + "G" * 32])
def test_what_is_no_head(text: str) -> None:
    with pytest.raises(ValueError, match="head of a chain"):
        parse_head(text)


def stamp(start_us: int) -> str:
    return chunk_path(PLACE, start_us, 0).name.partition("_")[0]
