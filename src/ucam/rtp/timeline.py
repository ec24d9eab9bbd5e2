"""From 32-bit RTP time stamps to presentation times and UTC."""

from typing import NamedTuple

from ucam.media.clock import TICKS_PER_SECOND


class Moment(NamedTuple):
    """When an access unit was taken.

    `pts_90k`: its RTP time stamp, extended over wraps. `utc_us`: its capture time; later pts have
    later UTC as long as `stepped` is false. `stepped`: the publisher's clock jumped (by more than
    the slew can follow): what comes now belongs into a new chunk.
    """

    pts_90k: int
    utc_us: int
    stepped: bool


class _Anchor(NamedTuple):
    """From `pts_us` on, UTC is `offset_us` ahead of pts."""

    pts_us: int
    offset_us: int


class Timeline:
    """One stream's clock. Best first: capture time in the packet (RFC 6051), a sender report, the
    arrival. Small corrections are spread (`slew` of the media time), larger ones than `step_us`
    are taken at once and told.

    `clock_rate`: of the time stamps.
    Capture times are believed whatever they say: a camera may deliver days later. A report that
    is further than `trust_us` from the arrival is not: such a publisher has no set clock.
    The arrival counts as its earliest, relative to the time stamps, of the last one or two
    `window_us`: packets come late, never early.
    """

    def __init__(
        self,
        *,
        clock_rate: int = 90_000,
        step_us: int = 2_000_000,
        slew: float = 0.05,
        trust_us: int = 3_600_000_000,
        window_us: int = 10_000_000,
    ) -> None:
        self._clock_rate = clock_rate
        self._step_us = step_us
        self._slew = slew
        self._trust_us = trust_us
        self._window_us = window_us
        self._last: int | None = None
        # The picture presented last so far, and the one that was it before.
        self._newest: _Anchor | None = None
        self._before = _Anchor(0, 0)
        # UTC − pts by each of the sources; by arrival the least of this window and of the last.
        self._captured_us: int | None = None
        self._reported_us: int | None = None
        self._windows: list[int] = []
        self._window_end_us = 0

    def report(self, rtp_timestamp: int, utc_us: int) -> None:
        """A sender report: this RTP time stamp belongs to this UTC."""
        self._reported_us = utc_us - self._microseconds(self._extend(rtp_timestamp))

    def place(self, rtp_timestamp: int, capture_utc_us: int | None, arrival_utc_us: int) -> Moment:
        """The next access unit in decode order. `capture_utc_us`: from its ntp-64 extension.
        `arrival_utc_us`: now, by the receiver's clock.
        """
        pts = self._extend(rtp_timestamp)
        pts_us = self._microseconds(pts)
        pts_90k = pts * TICKS_PER_SECOND // self._clock_rate
        restarted = self._newest is not None and pts_us < self._newest.pts_us - self._step_us
        if restarted:
            # The publisher's time stamps have begun anew: what was known of them is void.
            self._captured_us = self._reported_us = None
            self._windows = []
        target_us = self._target(pts_us, capture_utc_us, arrival_utc_us)
        newest = self._newest
        if newest is None or restarted or abs(target_us - newest.offset_us) > self._step_us:
            self._before = self._newest = _Anchor(pts_us, target_us)
            return Moment(pts_90k, pts_us + target_us, stepped=newest is not None)
        if pts_us > newest.pts_us:
            if target_us != newest.offset_us:
                most_us = int((pts_us - newest.pts_us) * self._slew)
                wanted_us = target_us - newest.offset_us
                target_us = newest.offset_us + max(-most_us, min(most_us, wanted_us))
            self._before = newest
            self._newest = _Anchor(pts_us, target_us)
            return Moment(pts_90k, pts_us + target_us, stepped=False)
        return Moment(pts_90k, pts_us + self._offset_at(pts_us), stepped=False)

    def _offset_at(self, pts_us: int) -> int:
        """UTC − pts. Between the two newest pictures, where B-frames lie, it changes evenly: a
        correction is spread over all of them.
        """
        assert self._newest is not None
        ahead_us = self._newest.pts_us - self._before.pts_us
        change_us = self._newest.offset_us - self._before.offset_us
        place_us = max(0, pts_us - self._before.pts_us)
        if not change_us or place_us >= ahead_us:
            return self._newest.offset_us
        return self._before.offset_us + change_us * place_us // ahead_us

    def _target(self, pts_us: int, capture_utc_us: int | None, arrival_utc_us: int) -> int:
        """UTC − pts by the best that is known."""
        if capture_utc_us is not None:
            self._captured_us = capture_utc_us - pts_us
        if self._captured_us is not None:
            return self._captured_us
        arrived_us = arrival_utc_us - pts_us
        if not self._windows or arrival_utc_us >= self._window_end_us:
            self._windows = [arrived_us, *self._windows[:1]]
            self._window_end_us = arrival_utc_us + self._window_us
        self._windows[0] = min(self._windows[0], arrived_us)
        if self._reported_us is not None and abs(self._reported_us - arrived_us) < self._trust_us:
            return self._reported_us
        return min(self._windows)

    def _microseconds(self, pts: int) -> int:
        return -(-pts * 1_000_000 // self._clock_rate)

    def _extend(self, rtp_timestamp: int) -> int:
        """The time stamp nearest to the last one, of those with these 32 low bits."""
        if self._last is None:
            self._last = rtp_timestamp
        ahead = (rtp_timestamp - self._last + (1 << 31)) % (1 << 32) - (1 << 31)
        self._last += ahead
        return self._last
