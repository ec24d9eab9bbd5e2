"""Decode times for pictures that come with presentation times alone, as they do over RTP."""

from heapq import heappush, heappushpop

from ucam.media.errors import DiscontinuityError


class DecodeTimes:
    """Monotone decode times, one per access unit, given at once.

    Give it every access unit's pts in decode order. The times returned strictly increase and are
    ≤ pts (but for a few pictures after a stream turns out to reorder more than it said).
    One object per continuous stretch: a new one after a step of the clock.

    With a reorder depth of d, the n-th dts is the (n−d)-th smallest pts: d pictures late, so that
    no picture is presented before it is decoded, and known without waiting for pictures to come.
    The d times before the first pts are made up, `frame_90k` apart.
    """

    def __init__(
        self,
        reorder_depth: int,
        *,
        frame_90k: int = 3000,
        max_depth: int = 16,
        max_back_90k: int = 90_000,
    ) -> None:
        self.depth = reorder_depth
        self._max_back_90k = max_back_90k
        self._frame_90k = frame_90k
        self._max_depth = max_depth
        self._window: list[int] = []  # a heap of the `depth` largest pts so far
        self._newest_out: int | None = None  # the last pts that left the window
        self._dts = 0

    def push(self, pts_90k: int) -> int:
        """The dts of this access unit. Raises `DiscontinuityError` when pts jumps far back."""
        if self._newest_out is None:
            self._window = [pts_90k - n * self._frame_90k for n in range(self.depth, 0, -1)]
            self._dts = pts_90k - (self.depth + 1) * self._frame_90k
        elif pts_90k < self._newest_out:
            self._grow(pts_90k)
        smallest = heappushpop(self._window, pts_90k)
        self._newest_out = smallest
        self._dts = max(smallest, self._dts + 1)
        return self._dts

    def _grow(self, pts_90k: int) -> None:
        """The picture should have left before the last that did: take that one back in."""
        assert self._newest_out is not None
        back = self._newest_out - pts_90k
        if self.depth >= self._max_depth or back > self._max_back_90k:
            raise DiscontinuityError(
                f"presentation time goes back by {back / 90_000:.3f} s after reordering"
                f" of {self.depth} pictures"
            )
        heappush(self._window, self._newest_out)
        self.depth += 1
