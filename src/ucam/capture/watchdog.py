"""When systemd's watchdog may be fed: while pictures come, and are confirmed or kept. No clock."""


class Watchdog:
    """`interval_s`: how often it wants to be fed."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._fed_s = float("-inf")
        self._kept = 0

    def feeds(self, now_s: float, *, frames_advance: bool, kept: int) -> bool:
        """Whether to feed it now. `kept`: how many pictures the spool has taken until now; they
        leave it only when storage confirms them, or when there is no room left at all.
        """
        if now_s - self._fed_s < self._interval_s or not frames_advance or kept == self._kept:
            return False
        self._fed_s, self._kept = now_s, kept
        return True
