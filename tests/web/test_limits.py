from ucam.web.limits import Bucket, Window


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


def test_a_window_counts_each_key_and_all() -> None:
    window = Window(each=3, overall=5, window_s=900)
    assert [window.take("ann", t) for t in range(4)] == [True, True, True, False]
    assert [window.take("bob", 10) for _ in range(3)] == [True, True, False]
    assert not window.take("cem", 899)
    # The oldest falls out after the window, and one place is free again, for whoever comes.
    assert window.take("ann", 900)
    assert not window.take("ann", 900)
