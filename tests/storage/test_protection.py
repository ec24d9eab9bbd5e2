import random
import sqlite3
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, Store, opened
from ucam.storage import protection, protection_file
from ucam.storage.database import Database
from ucam.storage.layout import INDEX, PROTECTED
from ucam.storage.protection import Protected, TooMuch

SECOND_US = 1_000_000


def span(begin_s: float, end_s: float) -> Protected:
    begin, end = (START_US + round(at * SECOND_US) for at in (begin_s, end_s))
    return Protected(begin, end, "owner@shop.loc", START_US)


def protect(store: Store, begin_s: float, end_s: float) -> None:
    store.index.call(Database.protect, PLACE, span(begin_s, end_s), 1 << 40)


def kept(store: Store) -> list[tuple[float, float]]:
    found = store.index.call(Database.protected, PLACE)
    return [
        ((one.from_us - START_US) / SECOND_US, (one.to_us - START_US) / SECOND_US) for one in found
    ]


def test_rotation_leaves_it_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks", maxspace=3_000_000) as store:
        store.record(500)  # ten chunks of 2 s
        names = [path.name for path in store.files()]
        protect(store, 3, 5)  # the second chunk and the third
        size = store.index.call(Database.protected_bytes)
        assert size == sum(path.stat().st_size for path in store.files()[1:3])
        store.record(2000, start_us=START_US + 60 * SECOND_US, first=1000)
        left = {path.name for path in store.files()}
        assert set(names[1:3]) <= left
        assert not set(names[:1] + names[3:]) & left
        store.index.call(Database.release, PLACE, START_US, START_US + 60 * SECOND_US)
        store.record(2000, start_us=START_US + 300 * SECOND_US, first=9000)
        assert not set(names) & {path.name for path in store.files()}


def test_more_than_may_be(store: Store) -> None:
    store.record(100)
    size = store.files()[0].stat().st_size + store.files()[1].stat().st_size
    with pytest.raises(TooMuch):
        store.index.call(Database.protect, PLACE, span(0, 4), size - 1)
    assert kept(store) == []
    store.index.call(Database.protect, PLACE, span(0, 4), size)
    assert kept(store) == [(0, 4)]
    # A span that begins inside a protected chunk costs nothing more.
    assert store.index.call(Database.protected_bytes, PLACE) == size


def test_it_survives_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        store.record(50)
        protect(store, 0, 1)
    with opened(tmp_path / "chunks") as store:
        assert kept(store) == [(0, 1)]


def test_spans_stay_disjoint_whatever_is_asked(store: Store) -> None:
    chosen = random.Random(7)
    seconds: set[int] = set()
    for _ in range(300):
        begin = chosen.randrange(60)
        end = begin + 1 + chosen.randrange(8)
        if chosen.random() < 0.5:
            protect(store, begin, end)
            seconds |= set(range(begin, end))
        else:
            there = bool(seconds & set(range(begin, end)))
            window = span(begin, end)
            told = store.index.call(Database.release, PLACE, window.from_us, window.to_us)
            assert told is there
            seconds -= set(range(begin, end))
        found = kept(store)
        assert {n for a, b in found for n in range(round(a), round(b))} == seconds
        assert store.index.call(Database.problems) == []


def test_a_broken_span_is_told(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        store.record(50)
        protect(store, 0, 1)
        root = store.root
    with sqlite3.connect(root / "index.sqlite") as db:
        db.execute("UPDATE protected SET to_us = from_us - 1")
    db.close()
    database = Database(root / "index.sqlite")
    assert any("protected" in problem for problem in database.problems())
    database.close()


def test_it_survives_a_lost_index(tmp_path: Path) -> None:
    """Rotation must not take what somebody wanted to keep because a disk lost the index."""
    with opened(tmp_path / "chunks") as store:
        store.record(200)
        protect(store, 0, 1)
        protect(store, 3, 5)
        store.index.call(Database.release, PLACE, START_US, START_US + SECOND_US)
        assert store.index.call(Database.problems) == []
        (store.root / INDEX).unlink()
    with opened(tmp_path / "chunks") as store:
        assert "1 protected spans are protected again" in store.told
        assert kept(store) == [(3, 5)]
        assert store.index.call(Database.problems) == []
        assert store.index.call(Database.protected, PLACE)[0].who == "owner@shop.loc"


def test_the_index_is_right_where_the_file_is_not(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        store.record(50)
        protect(store, 0, 1)
        good = (store.root / PROTECTED).read_bytes()
    for content in (b"", b"[]", b"{", b'[{"location": "../x"}]', good * 2):
        (tmp_path / "chunks" / PROTECTED).write_bytes(content)
        with opened(tmp_path / "chunks") as store:
            assert kept(store) == [(0, 1)]
            assert (store.root / PROTECTED).read_bytes() == good
            assert store.told == []


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'[{"location": "../x", "jid": "a@b", "from": "x", "to": "y", "by": "", "since": ""}]',
        b"[]" + b" " * (2 << 20),
    ],
)
def test_a_lost_index_and_a_file_without_sense(tmp_path: Path, content: bytes) -> None:
    with opened(tmp_path / "chunks") as store:
        store.record(50)
        (store.root / INDEX).unlink()
        (store.root / PROTECTED).write_bytes(content)
    with opened(tmp_path / "chunks") as store:
        assert any("protected.json can't be read" in told for told in store.told)
        assert kept(store) == []


def test_a_file_that_can_not_be_written_protects_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(50)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(protection_file, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        protect(store, 0, 1)
    assert kept(store) == []


def test_so_many_spans(store: Store) -> None:
    store.record(50)

    def fill(database: Database) -> None:
        with database.transaction():
            for number in range(protection.MOST_SPANS):
                each = span(2 * number, 2 * number + 1)
                protection.protect(database.connection, database.device(PLACE), each)

    store.index.call(fill)
    with pytest.raises(TooMuch, match="release some"):
        protect(store, 5000, 5001)
