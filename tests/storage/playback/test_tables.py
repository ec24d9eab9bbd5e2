import os

from storage.helpers import START_US, Store, cut, units
from ucam.media.scan import scan
from ucam.storage.cutter import AddFragment, Cutter, OpenChunk
from ucam.storage.playback.tables import Table, TableCache, _from_fragments, read_table
from ucam.storage.writer import Piece


def test_from_the_sidx_as_from_the_fragments(store: Store) -> None:
    store.record(250, chunk_us=None)
    (path,) = store.files()
    table = read_table(path, START_US)
    held = scan(path.read_bytes())
    assert table.init_length == held.init_length
    assert [piece[:2] for piece in table.pieces] == [fragment[:2] for fragment in held.fragments]
    descriptor = os.open(path, os.O_RDONLY)
    assert _from_fragments(descriptor, START_US) == table
    os.close(descriptor)


def test_a_pause_inside_a_chunk_moves_nothing(store: Store) -> None:
    """The camera paused for 1.5 s: too short for a new chunk."""
    cutter = Cutter(None, None)
    actions = cutter.begin(cut(Cutter(None, None), units(1))[0].track, "run1", None)  # type: ignore[union-attr]
    for unit in units(50):
        actions += cutter.push(unit, None)
    actions += cutter.flush()
    for unit in units(50, start_us=START_US + 3_500_000, first=50):
        actions += cutter.push(unit, None)
    actions += cutter.end(None)
    assert sum(isinstance(action, OpenChunk) for action in actions) == 1
    store.write(actions)
    table = read_table(store.files()[0], START_US)
    starts = [action.start_us - START_US for action in actions if isinstance(action, AddFragment)]
    assert [piece.start_us for piece in table.pieces] == starts


def test_the_least_recently_used_is_forgotten() -> None:
    cache = TableCache(most_pieces=250)
    table = Table(1, (Piece(0, 1, 0, 1, True),) * 100)
    cache.put(1, table)
    cache.put(2, table)
    assert cache.get(1) is table
    cache.put(3, table)
    assert cache.get(2) is None
    assert cache.get(1) is table
    assert cache.get(3) is table


def test_what_was_rotated_away_is_forgotten() -> None:
    cache = TableCache(most_pieces=250)
    table = Table(1, (Piece(0, 1, 0, 1, True),) * 100)
    for chunk in (3, 1):
        cache.put(chunk, table)
    cache.forget_before(3)
    assert cache.get(1) is None
    cache.put(4, table)  # there is room again
    assert cache.get(3) is table
