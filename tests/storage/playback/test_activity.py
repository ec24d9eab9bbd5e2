import struct

from ucam.storage.playback.activity import Sample, curve

SECOND = 1_000_000


def test_quiet_is_0_and_the_liveliest_moment_1() -> None:
    packed = struct.pack(">6H", 100, 100, 100, 400, 250, 100)
    interval, values = curve(Sample.of(0, 60 * SECOND, packed), 0, 60 * SECOND)
    assert interval == 10
    assert values == [0.0, 0.0, 0.0, 1.0, 0.5, 0.0]


def test_a_short_last_interval_is_not_quieter() -> None:
    packed = struct.pack(">2H", 100, 50)
    _, values = curve(Sample.of(0, 15 * SECOND, packed), 0, 20 * SECOND)
    assert values == [0.0, 0.0]


def test_noise_is_not_stretched() -> None:
    packed = struct.pack(">4H", 1000, 1010, 1005, 1000)
    _, values = curve(Sample.of(0, 40 * SECOND, packed), 0, 40 * SECOND)
    assert max(values) <= 0.1


def test_a_day_has_a_bounded_number_of_values() -> None:
    interval, values = curve([], 0, 86_400 * SECOND)
    assert interval == 60
    assert values == [0.0] * 1440


def test_what_lies_outside_is_left_out() -> None:
    samples = [Sample(-20 * SECOND, 10 * SECOND, 999), Sample(100 * SECOND, 10 * SECOND, 999)]
    _, values = curve(samples, 0, 100 * SECOND)
    assert values == [0.0] * 10
