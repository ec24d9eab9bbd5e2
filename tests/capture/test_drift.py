import random
from itertools import pairwise

import pytest

from ucam.capture.drift import Drift, Jumped

S, MS = 1_000_000_000, 1_000_000


def test_network_jitter_moves_no_picture() -> None:
    noise = random.Random(7)
    drift = Drift()
    given = [
        drift.correct(n * 40 * MS, n * 40 * MS + noise.randrange(60) * MS) for n in range(5000)
    ]
    spacing = [b - a for a, b in pairwise(given)]
    # 40 ms, and a correction of 200 ppm of the time that passed between two arrivals.
    assert max(abs(each - 40 * MS) for each in spacing) <= 0.0002 * 100 * MS


@pytest.mark.parametrize("ppm", [80, -80])
def test_a_quartz_that_runs_away_is_followed(ppm: int) -> None:
    noise = random.Random(7)
    drift = Drift()
    for n in range(25 * 3600):
        real_ns = n * 40 * MS
        clock_ns = real_ns * (1_000_000 + ppm) // 1_000_000
        found = drift.correct(clock_ns, real_ns + noise.randrange(30) * MS)
    assert abs(clock_ns - real_ns) > 250 * MS
    assert abs(found - real_ns) < 5 * MS


def test_b_frames_keep_their_spacing() -> None:
    drift = Drift()
    order = [n + delta for n in range(0, 3000, 3) for delta in (2, 0, 1)]
    given = {place: drift.correct(place * 40 * MS, n * 40 * MS) for n, place in enumerate(order)}
    ordered = [given[place] for place in sorted(given)]
    assert {b - a for a, b in pairwise(ordered)} == {40 * MS}


def test_a_camera_that_begins_with_older_pictures_is_put_right_with_a_new_run() -> None:
    drift = Drift()
    # Two seconds of pictures in a moment, then as they are made.
    for n in range(50):
        assert drift.correct(n * 40 * MS, n * MS) == n * 40 * MS
    assert not drift.is_ahead
    for n in range(50, 150):
        real_ns = (n - 49) * 40 * MS + 50 * MS
        clock_ns = drift.correct(n * 40 * MS, real_ns)
    assert drift.is_ahead
    assert clock_ns - real_ns > 1.8 * S
    drift.settle()
    assert not drift.is_ahead
    assert abs(drift.correct(150 * 40 * MS, real_ns + 40 * MS) - real_ns - 40 * MS) < 20 * MS


@pytest.mark.parametrize("jump_s", [-3600, -20, 2, 3600])
def test_time_stamps_that_jump_are_told(jump_s: int) -> None:
    drift = Drift()
    for n in range(100):
        drift.correct(n * 40 * MS, n * 40 * MS)
    with pytest.raises(Jumped):
        drift.correct(100 * 40 * MS + jump_s * S, 100 * 40 * MS)


def test_a_network_that_stood_still_is_no_jump() -> None:
    drift = Drift()
    for n in range(1000):
        arrival_ns = max(n * 40 * MS, 14 * S) if 200 <= n < 350 else n * 40 * MS
        assert abs(drift.correct(n * 40 * MS, arrival_ns) - n * 40 * MS) < 5 * MS
