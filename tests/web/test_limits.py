from ucam.web.limits import SWEEP_S, Bucket, Windows
from ucam.web.state import Limit


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = Bucket(rate_per_s=30, burst=120, now_s=0)
    assert sum(bucket.take(0) for _ in range(200)) == 120
    assert sum(bucket.take(1) for _ in range(200)) == 30
    assert sum(bucket.take(1 + i / 100) for i in range(1, 1001)) in (299, 300, 301)


def test_a_bucket_is_not_refilled_by_a_clock_that_steps_back() -> None:
    bucket = Bucket(rate_per_s=1, burst=1, now_s=100)
    assert bucket.take(100)
    assert not bucket.take(50)
    assert not bucket.take(50.5)


EACH, ALL = Limit("each", 3, 900), Limit("all", 5, 900)


def take(windows: Windows, who: str, now_s: float) -> bool:
    return windows.take(((EACH, who), (ALL, "")), now_s)


def test_windows_count_each_key_and_all() -> None:
    windows = Windows()
    assert [take(windows, "ann", t) for t in range(4)] == [True, True, True, False]
    assert [take(windows, "bob", 10) for _ in range(3)] == [True, True, False]
    assert not take(windows, "cem", 899)
    # The oldest falls out after the window, and one place is free again, for whoever comes.
    assert take(windows, "ann", 900)
    assert not take(windows, "ann", 900)


def test_what_is_refused_counts_nowhere() -> None:
    windows = Windows()
    assert [take(windows, "ann", 0) for _ in range(10)].count(True) == 3
    assert [take(windows, "bob", 0) for _ in range(10)].count(True) == 2


def test_windows_that_have_passed_take_no_memory() -> None:
    windows = Windows()
    for n in range(5):
        take(windows, f"stranger {n}", 0)
    assert len(windows) == 6
    take(windows, "ann", 900 + SWEEP_S)
    assert len(windows) == 2
