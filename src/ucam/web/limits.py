"""Limits on how often: plain objects, time is an argument."""

from collections import deque
from collections.abc import Hashable


class Bucket:
    """A token bucket: `rate_per_s` sustained, `burst` at once."""

    __slots__ = ("_at_s", "_burst", "_left", "_rate_per_s")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._left = burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed at `now_s`; if so, it is counted."""
        passed_s = max(0.0, now_s - self._at_s)
        self._left = min(self._burst, self._left + passed_s * self._rate_per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Window:
    """At most `each` per key and `overall` together in any `window_s` seconds."""

    def __init__(self, each: int, overall: int, window_s: float) -> None:
        self._each = each
        self._window_s = window_s
        # Bounded: `take` lets no more than `overall` times stand in the window.
        self._times: deque[tuple[float, Hashable]] = deque()
        self._overall = overall

    def take(self, key: Hashable, now_s: float) -> bool:
        """Whether one more for `key` is allowed at `now_s`; if so, it is counted."""
        while self._times and self._times[0][0] <= now_s - self._window_s:
            self._times.popleft()
        if len(self._times) >= self._overall:
            return False
        if sum(1 for _, earlier in self._times if earlier == key) >= self._each:
            return False
        self._times.append((now_s, key))
        return True
