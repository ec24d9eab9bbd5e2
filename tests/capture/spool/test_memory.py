from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from capture.samples import run, sound, unit
from ucam.capture.run import Run
from ucam.capture.spool.memory import Memory
from ucam.capture.spool.units import FULL, OVERHEAD_BYTES, TOO_LARGE, Gap, Gaps, Spooled
from ucam.media.access_unit import AccessUnit

COST = 104 + OVERHEAD_BYTES
A, B = run("a"), run("b")


def empty(max_bytes: int) -> tuple[Memory, Gaps]:
    gaps = Gaps()
    return Memory(max_bytes, gaps), gaps


def add(memory: Memory, picture: AccessUnit, name: Run = A) -> bool:
    return memory.append(Spooled(name, picture))


def filled(count: int, max_units: int = 1000, name: Run = A) -> tuple[Memory, Gaps]:
    memory, gaps = empty(max_units * COST)
    for number in range(count):
        add(memory, unit(number), name)
    return memory, gaps


def numbers(memory: Memory) -> list[int]:
    return [item.unit.number for item in memory.since(0)]


def left(memory: Memory) -> list[int]:
    return [item.unit.number for item in memory.since(memory.confirmed)]


def gap(first: int, last: int, reason: str = FULL, name: str = "a") -> Gap:
    return Gap(name, first, last, first * 100_000, last * 100_000, reason)


def told(gaps: Iterator[Gap] | Gaps) -> list[Gap]:
    return list(gaps)


def test_units_stay_until_confirmed() -> None:
    memory, _ = filled(10)
    assert (numbers(memory), memory.bytes) == (list(range(10)), 10 * COST)
    assert memory.confirm("a", 4) == 5
    assert (memory.bytes, memory.first, memory.end) == (5 * COST, 5, 10)
    assert memory.oldest is not None
    assert memory.oldest.unit.number == 5


def test_the_group_of_the_oldest_unconfirmed_stays_whole() -> None:
    memory, _ = filled(10)
    assert memory.confirm("a", 6) == 7
    assert (memory.first, memory.confirmed, memory.end) == (5, 7, 10)
    assert left(memory) == [7, 8, 9]
    assert memory.bytes_only_here == 3 * COST
    add(memory, unit(10))
    assert memory.confirm("a", 9) == 3
    assert numbers(memory) == [10]


def test_all_confirmed_keeps_the_group_that_goes_on() -> None:
    memory, _ = filled(8)
    assert memory.confirm("a", 7) == 8
    assert (memory.oldest, memory.bytes_only_here) == (None, 0)
    assert numbers(memory) == [5, 6, 7]


def test_confirming_twice_or_backwards_changes_nothing() -> None:
    memory, _ = filled(10)
    assert memory.confirm("a", 5) == 6
    assert memory.confirm("a", 5) == 0
    assert memory.confirm("a", 2) == 0
    assert left(memory) == [6, 7, 8, 9]


def test_a_run_that_nobody_knows_confirms_nothing() -> None:
    memory, _ = filled(10)
    assert memory.confirm("before the restart", 1000) == 0
    assert len(left(memory)) == 10


def test_a_later_run_confirms_the_earlier_ones_but_not_the_reverse() -> None:
    memory, _ = filled(5)
    for number in range(5):
        add(memory, unit(number), B)
    assert memory.confirm("a", 1000) == 5
    assert left(memory) == list(range(5))
    assert memory.confirm("b", 2) == 3
    assert left(memory) == [3, 4]
    memory, _ = filled(5)
    add(memory, unit(0), B)
    assert memory.confirm("b", 0) == 6


def test_sound_goes_with_the_picture_before_it() -> None:
    memory, _ = empty(1000 * COST)
    for number in range(6):
        add(memory, unit(number))
        add(memory, sound(number))
    assert memory.confirm("a", 2) == 5
    # The last picture's sound may have come when storage's fragment had ended.
    assert [item.unit.audio for item in memory.since(memory.confirmed)] == [True] + [
        False,
        True,
    ] * 3
    assert memory.confirm("a", 5) == 6
    assert memory.oldest is None, "no picture"
    assert [item.unit.audio for item in memory.since(memory.confirmed)] == [True]
    assert memory.group_start(memory.end - 1) == memory.first == 10


def test_confirmed_units_that_are_dropped_leave_no_gap() -> None:
    memory, gaps = filled(10, max_units=10)
    memory.confirm("a", 2)
    add(memory, unit(10))
    assert told(gaps) == [gap(3, 4)]
    memory, gaps = filled(10, max_units=10)
    memory.confirm("a", 9)
    assert add(memory, unit(10, size=7 * COST)) is True
    assert told(gaps) == []


def test_full_memory_drops_the_oldest_group_and_remembers_the_gap() -> None:
    memory, gaps = filled(10, max_units=10)
    assert add(memory, unit(10)) is False
    assert told(gaps) == [gap(0, 4)]
    assert numbers(memory) == [5, 6, 7, 8, 9, 10]
    for number in range(11, 17):
        add(memory, unit(number))
    assert told(gaps) == [gap(0, 9)]


def test_what_is_on_the_disk_as_well_is_no_loss() -> None:
    memory, gaps = filled(10, max_units=10)
    memory.on_disk = 5
    assert add(memory, unit(10)) is True
    assert (told(gaps), memory.spilled) == ([], True)
    for number in range(11, 16):
        add(memory, unit(number))
    assert told(gaps) == [gap(5, 9)]
    memory.confirm("a", 12)
    assert not memory.spilled


def test_units_dropped_after_they_were_sent_are_no_gap_once_confirmed() -> None:
    memory, gaps = filled(10, max_units=10)
    add(memory, unit(10))
    assert gaps.reason_before("a", 5) == FULL
    assert gaps.reason_before("a", 9) is None
    gaps.confirm("a", 7)
    assert told(gaps) == []


def test_a_group_larger_than_the_memory_loses_its_rest_as_well() -> None:
    memory, gaps = empty(3 * COST)
    kept = [add(memory, unit(number)) for number in range(7)]
    assert kept == [True, True, True, False, False, True, True]
    assert told(gaps) == [gap(0, 4)]
    assert numbers(memory) == [5, 6]


def test_a_unit_larger_than_the_memory_is_a_gap_and_drives_nothing_out() -> None:
    memory, gaps = filled(3, max_units=10)
    assert add(memory, unit(3, size=10_000)) is False
    assert add(memory, unit(4)) is False  # it refers to the one that is missing
    assert add(memory, unit(5)) is True
    assert told(gaps) == [gap(3, 3, TOO_LARGE), gap(4, 4)]
    assert numbers(memory) == [0, 1, 2, 5]


def test_a_full_memory_gets_more_room_than_one_group_at_once() -> None:
    memory, gaps = filled(80, max_units=80)
    add(memory, unit(80))
    assert told(gaps) == [gap(0, 14)]
    assert all(add(memory, unit(number)) for number in range(81, 95))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 400)),
            st.tuples(st.just("disk"), st.integers(0, 60)),
            st.tuples(st.just("confirm"), st.integers(0, 60)),
        ),
        max_size=80,
    )
)
def test_never_over_the_limit_and_nothing_vanishes_without_a_trace(
    steps: list[tuple[str, int]],
) -> None:
    memory, gaps = empty(6 * COST)
    appended, confirmed, on_disk = 0, -1, 0
    for step, value in steps:
        match step:
            case "append":
                add(memory, unit(appended, size=value))
                appended += 1
            case "disk" if memory.on_disk == memory.first - 0 or value:
                # Positions and numbers are the same until something is refused.
                memory.on_disk_from = min(memory.on_disk_from, memory.first)
                memory.on_disk = max(memory.on_disk, min(memory.end, memory.first + value))
                on_disk = memory.on_disk
            case "confirm" if value < appended:
                memory.confirm("a", value)
                gaps.confirm("a", value)
                confirmed = max(confirmed, value)
        assert 0 <= memory.bytes_only_here <= memory.bytes <= 6 * COST
    here = set(numbers(memory))
    lost = {n for each in gaps for n in range(each.first, each.last + 1)}
    if memory.end == appended:
        assert here | lost | set(range(on_disk)) >= set(range(confirmed + 1, appended))
    assert not here & lost
    assert not here or min(here) % 5 == 0 or on_disk  # begins at a keyframe


def test_sound_behind_a_confirmed_picture_is_confirmed_with_the_next_one_if_one_follows() -> None:
    memory, _ = empty(1000 * COST)
    for number in range(10):
        add(memory, unit(number))
        add(memory, sound(number))
        add(memory, sound(number, late_us=110_000))
    memory.confirm("a", 4)
    waiting = [(item.unit.number, item.unit.audio) for item in memory.since(memory.confirmed)]
    assert waiting[:3] == [(4, True), (4, True), (5, False)]
    assert memory.at(memory.first).begins_group
    oldest = memory.oldest
    assert oldest is not None
    assert oldest.unit.number == 5
    # No picture that could confirm it will come: behind these is a hole, or another run.
    add(memory, unit(15))
    memory.confirm("a", 9)
    assert memory.confirmed == memory.end - 1
    add(memory, sound(15))
    add(memory, unit(0), B)
    memory.confirm("a", 15)
    assert memory.confirmed == memory.end - 1
