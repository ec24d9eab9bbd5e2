import struct

from ucam.storage.changes import Change
from ucam.storage.playback.activity import Sample, curve
from ucam.storage.playback.sprites import changed

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


def test_a_change_that_was_seen_takes_the_place_of_bytes() -> None:
    packed = struct.pack(">4H", 100, 400, 100, 100)
    seen = [Change(10 * SECOND, 20 * SECOND, 0.2), Change(20 * SECOND, 30 * SECOND, 0.7)]
    elsewhere = Change(90 * SECOND, 100 * SECOND, 1.0)  # where nothing is recorded any more
    samples = list(Sample.of(0, 40 * SECOND, packed))
    _, values = curve(samples, 0, 100 * SECOND, [*seen, elsewhere])
    assert values == [0.0, 0.2, 0.7, *[0.0] * 7]


def test_what_changes_is_told_from_light_and_noise() -> None:
    still = bytes((x * 7) % 200 for x in range(32 * 18))
    assert changed(still, still) == 0
    assert changed(still, bytes(value + 40 for value in still)) == 0, "a cloud"
    noisy = bytes(value + (x * 31) % 5 for x, value in enumerate(still))
    assert changed(still, noisy) == 0
    somebody = bytearray(still)
    for y in range(5, 14):  # 4 of 32 columns, half of the lines: a person
        for x in range(10, 14):
            somebody[32 * y + x] = 250
    assert 0.2 < changed(still, bytes(somebody)) < 0.3
    assert changed(still, bytes(255 - value for value in still)) == 1
