"""How much moved: a curve for the timeline, from how many bytes the pictures took, and, where
somebody has looked at thumbnails, from how much of the picture changed from one to the next.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

from ucam.storage.changes import Change
from ucam.storage.writer import ACTIVITY_INTERVAL_US

MOST_VALUES = 1440
SHORTEST_INTERVAL_S = 10


class Sample(NamedTuple):
    """Bytes of coded pictures from `start_us` on, for `duration_us`."""

    start_us: int
    duration_us: int
    size: int

    @classmethod
    def of(cls, chunk: int, duration_us: int, packed: bytes) -> Iterator[Self]:
        """What a chunk's row keeps: KiB per ten seconds."""
        count = len(packed) // 2
        for number, kib in enumerate(struct.unpack(f">{count}H", packed)):
            begin = number * ACTIVITY_INTERVAL_US
            length = max(1, min(ACTIVITY_INTERVAL_US, duration_us - begin))
            yield cls(chunk + begin, length, kib * 1024)


def curve(
    samples: Iterable[Sample], from_us: int, to_us: int, changes: Iterable[Change] = ()
) -> tuple[int, list[float]]:
    """Interval in seconds, and a value 0…1 for each interval of the window.

    Of bytes 0 is the quietest tenth of what was recorded, 1 the liveliest moment. A change that
    was seen takes the place of that.
    """
    window_s = -(-(to_us - from_us) // 1_000_000)
    interval_s = max(SHORTEST_INTERVAL_S, -(-window_s // MOST_VALUES))
    count = -(-window_s // interval_s)
    totals, lengths = [0.0] * count, [0] * count
    for sample in samples:
        middle = sample.start_us + sample.duration_us // 2
        slot = (middle - from_us) // (interval_s * 1_000_000)
        if 0 <= slot < count:
            totals[slot] += sample.size
            lengths[slot] += sample.duration_us
    rates = [
        total / length if length else None for total, length in zip(totals, lengths, strict=True)
    ]
    seen: dict[int, float] = {}
    for change in changes:
        slot = ((change.from_us + change.to_us) // 2 - from_us) // (interval_s * 1_000_000)
        if 0 <= slot < count and lengths[slot]:
            seen[slot] = max(seen.get(slot, 0.0), change.value)
    known = sorted(rate for rate in rates if rate is not None)
    if not known:
        return interval_s, [0.0] * count
    quiet, lively = known[len(known) // 10], known[-1]
    # A constant bit rate says nothing: noise of a few per cent is not stretched to full height.
    height = max(lively - quiet, 0.1 * lively, 1e-9)
    values = [
        0.0 if rate is None else min(1.0, max(0.0, (rate - quiet) / height)) for rate in rates
    ]
    return interval_s, [round(seen.get(slot, value), 3) for slot, value in enumerate(values)]
