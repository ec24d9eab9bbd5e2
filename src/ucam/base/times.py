"""UTC times as texts: microseconds everywhere, RFC 3339 on the wire."""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")


def format_utc(utc_us: int) -> str:
    """Microseconds since 1970 as `2026-11-22T05:30:00.123456Z`."""
    moment = _EPOCH + timedelta(microseconds=utc_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_utc(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time; raises `ValueError`."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no time: write it as 2026-11-22T05:30:00Z")
    # fromisoformat reads at most six digits of a second; more precise ones are cut.
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    delta = datetime.fromisoformat(text) - _EPOCH
    return delta // timedelta(microseconds=1)
