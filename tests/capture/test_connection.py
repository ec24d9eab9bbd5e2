from ucam.capture.connection import Patience


def test_a_slow_line_is_no_dead_one() -> None:
    patience = Patience()
    assert not patience.is_over(1000)  # nothing was asked
    patience.asked(100)
    for now_s in range(100, 150):
        patience.saw_arrive(now_s * 1000, now_s)
        assert not patience.is_over(now_s + 9)
    assert patience.is_over(161)  # an answer that never comes is missed all the same
    patience.answered()
    patience.asked(200)
    patience.saw_arrive(160_000, 205)
    patience.saw_arrive(160_000, 209)
    assert not patience.is_over(214)
    assert patience.is_over(216)
