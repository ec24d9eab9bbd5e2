import random
import sqlite3
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, Store, opened
from ucam.storage.database import Database
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
