from capture.samples import run, sound, unit
from ucam.capture.spool.units import (
    FULL,
    MAX_GAPS,
    OVERHEAD_BYTES,
    TOO_LARGE,
    Gap,
    Gaps,
    Spooled,
)


def gap(first: int, last: int, name: str = "a", reason: str = FULL) -> Gap:
    return Gap(name, first, last, first * 100_000, last * 100_000, reason)


def test_a_group_begins_with_a_picture_that_is_a_keyframe() -> None:
    a = run("a")
    assert Spooled(a, unit(0)).begins_group
    assert not Spooled(a, unit(1)).begins_group
    assert not Spooled(a, sound(0)).begins_group
    assert Spooled(a, unit(0, size=1000)).cost == 1004 + OVERHEAD_BYTES


def test_gaps_that_touch_are_one() -> None:
    gaps = Gaps()
    for one in (gap(5, 9), gap(10, 14), gap(16, 16), gap(17, 17, reason=TOO_LARGE), gap(0, 3, "b")):
        gaps.add(one)
    assert list(gaps) == [gap(5, 14), gap(16, 16), gap(17, 17, reason=TOO_LARGE), gap(0, 3, "b")]


def test_no_more_than_so_many_are_kept() -> None:
    gaps = Gaps()
    for number in range(0, 4 * MAX_GAPS, 2):
        gaps.add(gap(number, number))
    assert len(list(gaps)) == MAX_GAPS
    assert list(gaps)[-1] == gap(4 * MAX_GAPS - 2, 4 * MAX_GAPS - 2)


def test_what_storage_has_gone_past_is_told_and_goes() -> None:
    gaps = Gaps()
    gaps.add(gap(5, 9))
    gaps.add(gap(20, 29))
    gaps.add(gap(0, 3, "b"))
    gaps.changed = False
    gaps.confirm("a", 8)
    assert (len(list(gaps)), gaps.changed) == (3, False)
    gaps.confirm("a", 9)
    assert (list(gaps), gaps.changed) == ([gap(20, 29), gap(0, 3, "b")], True)


def test_the_reason_is_that_of_the_pictures_just_before() -> None:
    gaps = Gaps()
    gaps.add(gap(5, 9))
    gaps.add(gap(20, 20, reason=TOO_LARGE))
    assert gaps.reason_before("a", 10) == FULL
    assert gaps.reason_before("a", 21) == TOO_LARGE
    assert gaps.reason_before("a", 11) is None
    assert gaps.reason_before("a", 5) is None
    assert gaps.reason_before("b", 10) is None
