"""Conversions between UTC in microseconds, 90 kHz ticks, and NTP's time stamps."""

TICKS_PER_SECOND = 90_000
SECONDS_1900_TO_1970 = 2_208_988_800


def ticks(us: int) -> int:
    """Microseconds as 1/90000 s, rounded down."""
    return us * 9 // 100


def microseconds(ticks_90k: int) -> int:
    """1/90000 s as microseconds, rounded up: `ticks(microseconds(t)) == t` for every t."""
    return -(-ticks_90k * 100 // 9)


def to_ntp64(utc_us: int) -> int:
    """Microseconds since 1970 as seconds since 1900 in 32.32 fixed point (RFC 5905 §6).

    Rounded up: `from_ntp64(to_ntp64(t)) == t` for every t from 1968 to 2104.
    """
    seconds, us = divmod(utc_us, 1_000_000)
    return ((seconds + SECONDS_1900_TO_1970) & 0xFFFFFFFF) << 32 | -(-(us << 32) // 1_000_000)


def from_ntp64(stamp: int) -> int:
    """The inverse, rounded down. Times before 1968 are taken for the era that begins in 2036."""
    seconds, fraction = stamp >> 32, stamp & 0xFFFFFFFF
    if not seconds & 0x80000000:
        seconds += 1 << 32
    return (seconds - SECONDS_1900_TO_1970) * 1_000_000 + (fraction * 1_000_000 >> 32)
