from ucam.base.backoff import Backoff


def test_delays_double_up_to_the_longest_and_are_spread() -> None:
    backoff = Backoff(first_s=1, longest_s=8, seed=1)
    delays = [backoff.next_delay_s() for _ in range(6)]
    for delay, middle in zip(delays, [1, 2, 4, 8, 8, 8], strict=True):
        assert 0.75 * middle <= delay <= 1.25 * middle
    assert len(set(delays)) == 6


def test_success_starts_over() -> None:
    backoff = Backoff(first_s=1, longest_s=8)
    for _ in range(5):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() <= 1.25
