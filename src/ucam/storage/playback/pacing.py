"""When a packet may leave: a pace as credit that grows with time, without I/O.

Times are seconds of one monotonic clock, sizes bytes, paces bytes a second.
"""

# The event loop's timers are good to a millisecond or two; at the cap it's ten packets.
QUANTUM_S = 0.004
# What a sender that woke late may make good at once. A burst of it fits any queue, and the 64 KB
# (56 packets) that Chromium lets wait for its socket's reader.
CATCH_UP_S, CATCH_UP_BYTES = 0.020, 46_000
# The rest of so long a sleep is made good after that, at twice the pace. The window bounds what
# may queue of it.
ARREARS_S = 0.100


class Pacer:
    """One sender's. Ask `earn` before sending, then `open` before each packet; if it was the pace
    that kept something back, say `wait`, and come again after that.
    """

    def __init__(self, now: float) -> None:
        self._credit = 0.0
        self._arrears = 0.0
        self._now = now
        self._waiting = False

    @property
    def open(self) -> bool:
        """Whether one packet more may leave."""
        return self._credit > 0

    def earn(self, now: float, pace: float, in_flight: int) -> bool:
        """Time has passed. True: the sender waited for its pace and woke late; it isn't the path
        then that took no more.
        """
        earned = pace * (now - self._now)
        if in_flight or self._waiting:
            most = min(pace * CATCH_UP_S, CATCH_UP_BYTES)
        else:  # a path that stood idle gets no burst
            most = pace * QUANTUM_S
        late = self._waiting and self._credit + earned > most
        if late:
            missed = self._credit + earned - most
            self._arrears = min(self._arrears + missed, pace * ARREARS_S)
        elif not in_flight and not self._waiting:
            self._arrears = 0.0
        repaid = min(self._arrears, max(min(earned, most - self._credit - earned), 0.0))
        self._arrears -= repaid
        self._credit = min(self._credit + earned + repaid, most)
        self._now, self._waiting = now, False
        return late

    def spend(self, size: int) -> None:
        """A packet leaves."""
        self._credit -= size

    def wait(self, pace: float) -> float:
        """How long to wait now, in seconds."""
        self._waiting = True
        return max(QUANTUM_S, -self._credit / pace)
