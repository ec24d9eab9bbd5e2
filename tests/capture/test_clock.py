import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.capture.clock import EARLIEST_S, PATIENCE_S, CaptureClock, is_set

S = 1_000_000_000
EPOCH = 1_790_000_000 * S


def test_utc_is_pipeline_time_and_the_offset_at_the_start() -> None:
    clock = CaptureClock(5 * S, EPOCH)
    assert clock.utc_us(6 * S + 1000) == EPOCH // 1000 + 1_000_001


def test_drift_is_followed() -> None:
    clock = CaptureClock(0, EPOCH)
    for second in range(600):  # the pipeline's quartz is 50 ppm slow
        assert not clock.observe(second * S, EPOCH + second * S + second * 50_000)
    error_us = clock.utc_us(600 * S) - (EPOCH + 600 * S + 600 * 50_000) // 1000
    assert abs(error_us) < 1000


def test_one_late_measurement_is_no_step_and_moves_little() -> None:
    clock = CaptureClock(0, EPOCH)
    assert not clock.observe(2 * S, EPOCH + 2 * S + S)
    assert not clock.observe(4 * S, EPOCH + 4 * S)
    assert abs(clock.utc_us(4 * S) - (EPOCH + 4 * S) // 1000) < 1000


def test_a_step_is_told_and_moves_nothing() -> None:
    for step_ns in (3600 * S, -3600 * S, -EPOCH):
        clock = CaptureClock(0, EPOCH)
        before = clock.utc_us(10 * S)
        told = [clock.observe(n * S, EPOCH + n * S + step_ns) for n in range(1, 5)]
        assert told == [False, False, True, True]
        assert clock.utc_us(10 * S) == before


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.integers(-7200 * S, 7200 * S)), max_size=50))
def test_whatever_the_system_clock_does_order_and_spacing_hold(
    readings: list[tuple[int, int]],
) -> None:
    clock = CaptureClock(0, EPOCH)
    pipeline_ns, last_us = 0, clock.utc_us(0)
    for elapsed_ns, system_error_ns in readings:
        pipeline_ns += elapsed_ns
        clock.observe(pipeline_ns, EPOCH + pipeline_ns + system_error_ns)
        utc_us = clock.utc_us(pipeline_ns)
        slack_us = elapsed_ns * 500 // 1_000_000_000 + 1
        assert abs(utc_us - last_us - elapsed_ns // 1000) <= slack_us + 1
        last_us = utc_us


@pytest.mark.parametrize(
    ("system_s", "uptime_s", "synchronised", "believed"),
    [
        (0, 10_000, False, False),  # 1970, and nobody ever sets it
        (10_000, 10_000, True, False),
        (EARLIEST_S - 1, 10_000, True, False),
        (EARLIEST_S, 5, False, False),  # what the last shutdown left behind, perhaps
        (EARLIEST_S, 5, True, True),
        (EARLIEST_S, PATIENCE_S, False, True),  # no time server, but a clock that can be right
        (EARLIEST_S + 60 * 365 * 86_400, 10_000, True, False),
    ],
)
def test_which_clock_is_believed(
    system_s: float, uptime_s: float, synchronised: bool, believed: bool
) -> None:
    assert is_set(system_s, uptime_s, synchronised) is believed


def test_a_clock_that_is_not_set_counts_from_the_boot_until_it_is() -> None:
    clock = CaptureClock(5 * S, 5 * S + 1, False)
    assert not clock.is_set
    assert not clock.observe(6 * S, 6 * S, False)
    assert clock.utc_us(7 * S) == 7_000_000
    # NTP answers: a new run begins, and this one goes on as it was.
    assert clock.observe(8 * S, EPOCH, True)
    assert clock.utc_us(9 * S) == 9_000_000
