"""A path's one direction: what it does to a packet, without sockets or a clock."""

import random
from dataclasses import dataclass, field


@dataclass
class Link:
    """`rate`: bytes a second of the bottleneck, None: none; `queue_s`: what waits before it at
    most, in seconds; `loss`: the share that vanishes at random; `delay_s`: one way.
    """

    delay_s: float
    loss: float = 0.0
    rate: float | None = None
    queue_s: float = 0.2
    jitter_s: float = 0.0  # up to so much later, which reorders
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    waits: list[float] = field(default_factory=list)  # in the queue, of each that got through it
    dropped: int = 0
    _free_s: float = 0.0
    _last_s: float = 0.0

    def enter(self, now: float, size: int) -> float | None:
        """When a packet of `size` bytes comes out; None: never."""
        out = now
        if self.rate is not None:
            wait = max(self._free_s - now, 0.0)
            if wait > self.queue_s:
                self.dropped += 1
                return None
            self.waits.append(wait)
            self._free_s = out = now + wait + size / self.rate
        if self.chance.random() < self.loss:
            self.dropped += 1
            return None
        out += self.delay_s
        if self.jitter_s:
            return out + self.chance.uniform(0, self.jitter_s)
        # One after the other, also for those who sort by time.
        self._last_s = out = max(out, self._last_s + 1e-6)
        return out


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
