import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.base.times import format_utc, parse_utc


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_round_trip(utc_us: int) -> None:
    assert parse_utc(format_utc(utc_us)) == utc_us


def test_texts() -> None:
    assert format_utc(1_795_325_400_123_456) == "2026-11-22T05:30:00.123456Z"
    assert parse_utc("2026-11-22T06:30:00.1234567+01:00") == 1_795_325_400_123_456
    assert parse_utc("2026-11-22T05:30:00z") == 1_795_325_400_000_000


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-22", "2026-11-22T05:30:00", "2026-13-01T00:00:00Z"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_utc(text)
