"""Limits on how often: plain objects, time is an argument."""

from collections import deque
from collections.abc import Sequence

from ucam.web.state import Turn

SWEEP_S = 60.0


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


class Windows:
    """Sliding windows, as many as there are limits and keys; what has passed takes no memory."""

    def __init__(self) -> None:
        # Each list of times is bounded by its limit's count, oldest first.
        self._times: dict[Turn, deque[float]] = {}
        self._swept_s = 0.0

    def take(self, turns: Sequence[Turn], now_s: float) -> bool:
        """Whether all these limits have room at `now_s`; only then each counts one more."""
        if now_s - self._swept_s > SWEEP_S:
            self._swept_s = now_s
            for turn in list(self._times):
                self._forget_past(turn, now_s)
        for turn in turns:
            self._forget_past(turn, now_s)
            if len(self._times.get(turn, ())) >= turn[0].count:
                return False
        for turn in turns:
            self._times.setdefault(turn, deque()).append(now_s)
        return True

    def __len__(self) -> int:
        return len(self._times)

    def _forget_past(self, turn: Turn, now_s: float) -> None:
        times = self._times.get(turn, deque())
        while times and times[0] <= now_s - turn[0].window_s:
            times.popleft()
        if not times:
            self._times.pop(turn, None)
