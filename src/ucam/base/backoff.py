"""How long to wait before the next try: exponential, jittered, without a clock of its own."""

import random


class Backoff:
    """Delays that double from `first_s` to `longest_s`, each spread over ±25 % so that many
    devices that lost one server don't return in one moment."""

    def __init__(self, first_s: float = 0.5, longest_s: float = 30.0, seed: int | None = None):
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self._random = random.Random(seed)  # noqa: S311 - spreading, not secrecy

    def next_delay_s(self) -> float:
        """The delay before the coming try, in seconds."""
        delay = self._next_s * self._random.uniform(0.75, 1.25)
        self._next_s = min(self._next_s * 2, self._longest_s)
        return delay

    def reset(self) -> None:
        """Call after success: the next failure starts with the shortest delay again."""
        self._next_s = self._first_s
