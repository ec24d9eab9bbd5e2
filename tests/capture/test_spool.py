from hypothesis import given
from hypothesis import strategies as st

from capture.samples import run, unit
from ucam.capture.run import Run
from ucam.capture.spool import OVERHEAD_BYTES, Gap, Spool

COST = 104 + OVERHEAD_BYTES
A, B = run("a"), run("b")


def filled(count: int, max_units: int = 1000, name: Run = A) -> Spool:
    spool = Spool(max_units * COST)
    for number in range(count):
        spool.append(name, unit(number))
    return spool


def numbers(spool: Spool) -> list[int]:
    taken = []
    while (item := spool.take()) is not None:
        taken.append(item.unit.number)
    return taken


def test_units_leave_in_order_and_stay_until_confirmed() -> None:
    spool = filled(10)
    assert numbers(spool) == list(range(10))
    assert (spool.memory, spool.waiting, spool.unconfirmed_s) == (10 * COST, 0, 0.9)
    assert spool.confirm("a", 4) == 5
    assert (spool.memory, spool.unconfirmed_s, spool.unconfirmed) == (5 * COST, 0.4, 5)
    assert numbers(spool) == []


def test_a_new_connection_begins_at_a_keyframe() -> None:
    spool = filled(10)
    numbers(spool)
    assert spool.confirm("a", 6) == 7
    assert (spool.unconfirmed_bytes, spool.unconfirmed, spool.memory) == (3 * COST, 3, 5 * COST)
    first = spool.resume()
    assert first is not None
    assert (first.unit.number, first.unit.keyframe) == (5, True)
    assert numbers(spool) == [5, 6, 7, 8, 9]
    spool.append(A, unit(10))
    assert spool.confirm("a", 9) == 3
    assert spool.memory == COST


def test_all_confirmed_keeps_the_group_that_goes_on() -> None:
    spool = filled(8)
    assert spool.confirm("a", 7) == 8
    assert (spool.unconfirmed, spool.unconfirmed_bytes, spool.unconfirmed_s) == (0, 0, 0.0)
    assert not spool.awaits("a", 7)
    spool.append(A, unit(8))
    assert spool.awaits("a", 8)
    assert not spool.awaits("a", 7)
    assert not spool.awaits("b", 8)
    spool.resume()
    assert numbers(spool) == [5, 6, 7, 8]


def test_confirming_twice_or_backwards_changes_nothing() -> None:
    spool = filled(10)
    assert spool.confirm("a", 5) == 6
    assert spool.confirm("a", 5) == 0
    assert spool.confirm("a", 2) == 0
    assert spool.unconfirmed == 4


def test_a_run_that_nobody_knows_confirms_nothing() -> None:
    spool = filled(10)
    assert spool.confirm("before the restart", 1000) == 0
    assert spool.waiting == 10


def test_a_later_run_confirms_the_earlier_ones_but_not_the_reverse() -> None:
    spool = filled(5)
    for number in range(5):
        spool.append(B, unit(number))
    assert spool.confirm("a", 1000) == 5
    assert spool.unconfirmed == 5
    assert spool.confirm("b", 2) == 3
    assert spool.unconfirmed == 2
    assert numbers(spool) == list(range(5))
    spool = filled(5)
    spool.append(B, unit(0))
    assert spool.confirm("b", 0) == 6


def test_confirmed_units_that_are_dropped_leave_no_gap() -> None:
    spool = filled(10, max_units=10)
    spool.confirm("a", 2)
    spool.append(A, unit(10))
    assert spool.gaps == (Gap("a", 3, 4, 300_000, 400_000),)
    spool = filled(10, max_units=10)
    spool.confirm("a", 8)
    spool.append(A, unit(10, size=7 * COST))
    assert spool.gaps == (Gap("a", 9, 9, 900_000, 900_000),)
    spool = filled(10, max_units=10)
    spool.confirm("a", 9)
    assert spool.append(A, unit(10, size=7 * COST)) is True
    assert spool.gaps == ()


def test_full_memory_drops_the_oldest_group_and_remembers_the_gap() -> None:
    spool = filled(10, max_units=10)
    assert spool.append(A, unit(10)) is False
    assert spool.gaps == (Gap("a", 0, 4, 0, 400_000),)
    assert numbers(spool) == [5, 6, 7, 8, 9, 10]
    for number in range(11, 17):
        spool.append(A, unit(number))
    assert spool.gaps == (Gap("a", 0, 9, 0, 900_000),)


def test_units_dropped_after_they_were_sent_are_no_gap_once_confirmed() -> None:
    spool = filled(10, max_units=10)
    numbers(spool)
    spool.append(A, unit(10))
    assert spool.gaps
    spool.confirm("a", 7)
    assert spool.gaps == ()
    assert numbers(spool) == [10]


def test_a_group_larger_than_the_memory_loses_its_rest_as_well() -> None:
    spool = Spool(3 * COST)
    kept = [spool.append(A, unit(number)) for number in range(7)]
    assert kept == [True, True, True, False, False, True, True]
    assert spool.gaps == (Gap("a", 0, 4, 0, 400_000),)
    assert numbers(spool) == [5, 6]


def test_a_unit_larger_than_the_memory_is_a_gap_and_drives_nothing_out() -> None:
    spool = filled(3, max_units=10)
    assert spool.append(A, unit(3, size=10_000)) is False
    assert spool.append(A, unit(4)) is False  # it refers to the one that is missing
    assert spool.append(A, unit(5)) is True
    assert spool.gaps == (Gap("a", 3, 4, 300_000, 400_000),)
    assert numbers(spool) == [0, 1, 2, 5]


def test_a_full_memory_gets_more_room_than_one_group_at_once() -> None:
    spool = filled(80, max_units=80)
    spool.append(A, unit(80))
    assert spool.gaps == (Gap("a", 0, 14, 0, 1_400_000),)
    assert all(spool.append(A, unit(number)) for number in range(81, 95))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 400)),
            st.tuples(st.just("take"), st.just(0)),
            st.tuples(st.just("confirm"), st.integers(0, 60)),
            st.tuples(st.just("resume"), st.just(0)),
        ),
        max_size=80,
    )
)
def test_never_over_the_limit_and_nothing_vanishes_without_a_trace(
    steps: list[tuple[str, int]],
) -> None:
    spool = Spool(6 * COST)
    appended, confirmed = 0, -1
    for step, value in steps:
        match step:
            case "append":
                spool.append(A, unit(appended, size=value))
                appended += 1
            case "take":
                spool.take()
            case "confirm" if value < appended:
                spool.confirm("a", value)
                confirmed = max(confirmed, value)
            case "resume":
                spool.resume()
        assert 0 <= spool.unconfirmed_bytes <= spool.memory <= 6 * COST
        assert spool.waiting >= 0
    spool.resume()
    left = set(numbers(spool))
    lost = {n for gap in spool.gaps for n in range(gap.first, gap.last + 1)}
    assert left | lost >= set(range(confirmed + 1, appended))
    assert not left & lost
    assert not left or min(left) % 5 == 0  # begins at a keyframe
