"""Decode times for pictures that come with presentation times alone, as they do over RTP."""


class DecodeTimes:
    """Monotone decode times, one per access unit, given at once.

    Give it every access unit's pts in decode order. The times returned strictly increase and are
    ≤ pts (but for a few pictures after a stream turns out to reorder more than it said).
    One object per continuous stretch: a new one after a step of the clock.
    """

    def __init__(self, reorder_depth: int, *, frame_90k: int = 3000, max_depth: int = 16) -> None:
        raise NotImplementedError

    def push(self, pts_90k: int) -> int:
        """The dts of this access unit. Raises `DiscontinuityError` when pts jumps far back."""
        raise NotImplementedError
