from hypothesis import given
from hypothesis import strategies as st

from ucam.media.clock import from_ntp64, microseconds, ticks, to_ntp64


def test_known_stamps() -> None:
    assert ticks(1_000_000) == 90_000
    assert microseconds(90_000) == 1_000_000
    assert to_ntp64(0) == 2_208_988_800 << 32
    assert to_ntp64(500_000) & 0xFFFFFFFF == 1 << 31


@given(st.integers(0, 1 << 52))
def test_ticks_round_trip(t: int) -> None:
    assert ticks(microseconds(t)) == t


@given(st.integers(0, 4_200_000_000_000_000))
def test_ntp_round_trips_to_the_microsecond_until_2103(us: int) -> None:
    assert from_ntp64(to_ntp64(us)) == us
