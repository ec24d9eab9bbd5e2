from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.rtp.timeline import Timeline

NOW = 1_795_325_400_000_000
FRAME = 3600  # 25 a second
FRAME_US = 40_000


def test_time_stamps_are_extended_over_a_wrap_in_both_directions() -> None:
    timeline = Timeline()
    start = (1 << 32) - FRAME
    stamps = [start, 2 * FRAME - 0, 0, FRAME]  # I, then P before two B that precede it
    pts = [timeline.place(stamp % (1 << 32), None, NOW).pts_90k for stamp in stamps]
    assert pts == [start, start + 3 * FRAME, start + FRAME, start + 2 * FRAME]


@pytest.mark.parametrize("start", [0, 1, 12_345, (1 << 32) - 100_000])
def test_capture_times_are_exact_to_the_microsecond(start: int) -> None:
    timeline = Timeline()
    for n in range(200):
        moment = timeline.place((start + n * FRAME) % (1 << 32), NOW + n * FRAME_US + n % 7, 0)
        assert moment == (start + n * FRAME, NOW + n * FRAME_US + n % 7, False)


def test_days_old_capture_times_are_believed() -> None:
    timeline = Timeline()
    week = 7 * 86_400_000_000
    assert timeline.place(0, NOW - week, NOW).utc_us == NOW - week


def test_b_frames_lie_between_their_neighbours() -> None:
    timeline = Timeline()
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    utc = {n: timeline.place(n * FRAME, NOW + n * FRAME_US, NOW).utc_us for n in order}
    for n, found in utc.items():
        assert abs(found - NOW - n * FRAME_US) <= 12
    assert [utc[n] for n in range(9)] == sorted(utc.values())


def test_a_step_of_the_publishers_clock_is_told_once() -> None:
    timeline = Timeline()
    timeline.place(0, NOW, NOW)
    hour = 3_600_000_000
    assert timeline.place(FRAME, NOW - hour, NOW) == (FRAME, NOW - hour, True)
    assert timeline.place(2 * FRAME, NOW - hour + FRAME_US, NOW).stepped is False


def test_a_small_correction_is_spread_and_never_turns_time_back() -> None:
    timeline = Timeline()
    timeline.place(0, None, NOW + 300_000)  # the first packet came 300 ms late
    timeline.report(0, NOW)
    last = NOW + 300_000
    for n in range(1, 400):
        moment = timeline.place(n * FRAME, None, NOW + n * FRAME_US + 300_000)
        assert not moment.stepped
        assert FRAME_US * 0.94 <= moment.utc_us - last <= FRAME_US * 1.06
        last = moment.utc_us
    assert last == NOW + 399 * FRAME_US


def test_a_report_before_the_first_packet_counts() -> None:
    timeline = Timeline()
    timeline.report(1000, NOW)
    assert timeline.place(1000 + FRAME, None, NOW + 90_000).utc_us == NOW + FRAME_US


def test_a_report_of_a_clock_that_was_never_set_does_not_count() -> None:
    timeline = Timeline()
    timeline.report(0, 5_000_000)
    assert timeline.place(0, None, NOW).utc_us == NOW


def test_capture_time_goes_before_report_and_stays_when_later_packets_have_none() -> None:
    timeline = Timeline()
    timeline.report(0, NOW + 500_000)
    assert timeline.place(0, NOW, NOW).utc_us == NOW
    assert timeline.place(FRAME, None, NOW).utc_us == NOW + FRAME_US


def test_by_arrival_the_earliest_counts() -> None:
    timeline = Timeline()
    late = [100_000, 0, 250_000, 30_000]
    for n in range(400):
        moment = timeline.place(n * FRAME, None, NOW + n * FRAME_US + late[n % 4])
        assert not moment.stepped
    assert moment.utc_us == NOW + 399 * FRAME_US


def test_by_arrival_a_stalled_connection_moves_nothing() -> None:
    timeline = Timeline()
    for n in range(100):
        timeline.place(n * FRAME, None, NOW + n * FRAME_US)
    for n in range(100, 1000):  # half a minute of it arrives at once, then on time again
        moment = timeline.place(n * FRAME, None, NOW + max(n, 850) * FRAME_US)
        assert moment == (n * FRAME, NOW + n * FRAME_US, False)


def test_time_stamps_that_begin_anew_are_a_step() -> None:
    timeline = Timeline()
    for n in range(100):
        timeline.place(1_000_000 + n * FRAME, None, NOW + n * FRAME_US)
    moment = timeline.place(0, None, NOW + 100 * FRAME_US)
    assert (moment.utc_us, moment.stepped) == (NOW + 100 * FRAME_US, True)
    assert timeline.place(FRAME, None, NOW + 101 * FRAME_US).stepped is False


@given(
    st.integers(0, (1 << 32) - 1),
    st.lists(st.tuples(st.integers(1, 20_000), st.integers(-50_000, 50_000)), max_size=40),
)
def test_between_steps_utc_rises_with_pts(start: int, steps: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    stamp = start
    last = timeline.place(stamp, NOW, NOW)
    elapsed = 0
    for ahead, error in steps:
        stamp = (stamp + ahead) % (1 << 32)
        elapsed += ahead
        moment = timeline.place(stamp, NOW + elapsed * 100 // 9 + error, NOW)
        assert not moment.stepped
        assert moment.pts_90k == last.pts_90k + ahead
        assert moment.utc_us > last.utc_us
        last = moment


def test_with_b_frames_a_correction_is_spread_over_all_pictures() -> None:
    timeline = Timeline()
    timeline.place(0, None, NOW + 200_000)
    timeline.report(0, NOW)
    order = [n + step for n in range(0, 80, 4) for step in (4, 2, 1, 3)]
    utc = sorted(timeline.place(n * FRAME, None, NOW + n * FRAME_US).utc_us for n in order)
    gaps = [later - earlier for earlier, later in pairwise(utc)]
    assert all(37_990 <= gap <= 38_010 for gap in gaps)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_time_stamps_of_audio_count_samples(rate: int) -> None:
    """An hour of frames of 1,024 samples, over a wrap, by a sender report."""
    timeline = Timeline(clock_rate=rate)
    first, utc_us = (1 << 32) - 50 * 1024, 1_795_325_400_000_000
    timeline.report(first, utc_us)
    frames = 3600 * rate // 1024
    for number in range(0, frames, 7):
        moment = timeline.place((first + number * 1024) % (1 << 32), None, utc_us)
        assert not moment.stepped
    passed = (frames - 1) // 7 * 7 * 1024
    assert abs(moment.utc_us - utc_us - passed * 1_000_000 // rate) <= 1
    assert abs(moment.pts_90k - (first + passed) * 90_000 // rate) <= 1
