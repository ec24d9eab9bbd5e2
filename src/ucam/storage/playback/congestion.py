"""How fast a viewer's path takes recordings: a congestion controller without I/O.

It models the path instead of reacting to each loss, as BBR does (draft-ietf-ccwg-bbr): the highest
delivery rate of late (`bandwidth`) times the lowest round-trip time of late is what the path holds
without a queue. Random loss of a radio link therefore costs its share and no more, and a long queue
in somebody's router isn't filled.

    START_UP ──the rate stops growing, loss, or a queue──▶ DRAIN ──queue gone──▶ PROBE ◀─▶ PROBE_RTT

Times are seconds of one monotonic clock, sizes bytes of user data, rates bytes a second.
"""

import math
from collections import deque
from enum import Enum, auto
from typing import NamedTuple

PACKET_BYTES = 1160  # user data of a full packet
INITIAL_WINDOW = 32 * PACKET_BYTES
FIRST_RTT_S = 0.1  # assumed until there is a measurement; only the first packets' pace needs it
LEAST_WINDOW = 4 * PACKET_BYTES  # keeps three acknowledgements coming that show a loss
# 4 ln 2: the lowest gain that doubles the rate each round (BBR's STARTUP).
START_UP_GAIN = 2.77
FLAT_ROUNDS = 3
FLAT_GROWTH = 1.25
# A quarter more for two round trips shows whether the path has more to give: the first carries it
# out, the second brings it back as a rate. Then a quarter less, until what it queued is gone.
UP, DOWN, CRUISE = 1.25, 0.75, 1.0
UP_ROUND_TRIPS, DOWN_ROUND_TRIPS, CRUISE_ROUND_TRIPS = 2.0, 2.0, 6.0
# The quarter more was delivered, nearly: ask for a half more at once, not for a quarter six round
# trips later. It makes good a start-up that a busy machine's pause has ended too early.
FRUITFUL, MORE = 1.15, 1.5
BANDWIDTH_ROUNDS = 10  # longer than one cycle of probing, so that its best is remembered
MIN_RTT_S = 10.0
PROBE_RTT_S = 0.2
PROBE_RTT_GAIN = 0.5
# More is congestion, less may be the radio's. Three packets at least: one of ten says nothing.
HEAVY_LOSS = 0.05
HEAVY_LOSS_BYTES = 3 * PACKET_BYTES
BACK_OFF = 0.85
# A round whose quickest packet took that much longer than the path does stood in a queue: an eighth
# of the path's own time, within what jitter hides and what is a queue on any path (HyStart++).
QUEUE_SHARE, QUEUE_LEAST_S, QUEUE_MOST_S = 1 / 8, 0.006, 0.030
QUEUE_SAMPLES = 8
# The window's room above the path's content. Less and a sender that wakes late starves the path.
SLACK_S = 0.020


class State(Enum):
    """What the controller is about."""

    START_UP = auto()
    DRAIN = auto()
    PROBE = auto()
    PROBE_RTT = auto()


class Mark(NamedTuple):
    """How things stood when a packet left; a rate sample is made of it when it arrives."""

    sent_s: float
    first_sent_s: float
    delivered: int
    delivered_s: float
    limited: bool  # by something else than the path
    alone: bool  # nothing was on its way


class Controller:
    """One path. The sender asks `window` and `pace`, and tells what left, arrived and got lost."""

    def __init__(self, cap: float, now: float) -> None:
        """`cap`: bytes a second that are never exceeded; it may be changed at any time."""
        self.cap = cap
        self.state = State.START_UP
        self.min_rtt: float | None = None
        self._min_rtt_s = now
        self._rates: deque[tuple[int, float]] = deque()  # (round, rate), falling rates
        self._ceiling = math.inf
        self._delivered = 0
        self._delivered_s = now
        self._first_sent_s = now
        self._limited_until = 0
        self._timed_out = False
        # The current round: until the first packet that left after its beginning has arrived.
        self._round = 0
        self._round_end = 0
        self._round_lost = 0
        self._round_delivered = 0
        self._round_rate = 0.0
        self._round_rtt = math.inf
        self._round_samples = 0
        # START_UP
        self._full_rate = 0.0
        self._flat = 0
        # PROBE and PROBE_RTT
        self._gain = CRUISE
        self._since_s = now
        self._rate_before = 0.0
        self._lowest_rtt = math.inf

    @property
    def bandwidth(self) -> float:
        """What the path is believed to deliver; 0 until something was measured."""
        return min(self._rates[0][1], self._ceiling, self.cap) if self._rates else 0.0

    @property
    def window(self) -> int:
        """How much may be on its way."""
        if self._timed_out:
            return LEAST_WINDOW
        if not self._rates or self.min_rtt is None:
            return INITIAL_WINDOW
        bandwidth = self.bandwidth
        content = bandwidth * self.min_rtt
        if self.state is State.PROBE_RTT:
            return max(int(PROBE_RTT_GAIN * content), LEAST_WINDOW)
        slack = int(bandwidth * SLACK_S) + LEAST_WINDOW
        if self.state is State.START_UP:
            return max(int(START_UP_GAIN * content) + slack, INITIAL_WINDOW)
        return int(max(UP, self._gain) * content) + slack

    @property
    def pace(self) -> float:
        """How fast it may leave."""
        if self.state is State.START_UP:
            # The first rates are those of single packets: the first window goes out in any case.
            least = INITIAL_WINDOW / (self.min_rtt or FIRST_RTT_S)
            return min(max(START_UP_GAIN * self.bandwidth, least), self.cap)
        gain = 1 / START_UP_GAIN if self.state is State.DRAIN else self._gain
        return min(gain * self.bandwidth, self.cap)

    def send(self, now: float, in_flight: int) -> Mark:
        """A packet leaves; `in_flight`: without it. Keep the mark with the packet."""
        alone, limited = in_flight == 0, self._limited_until > 0
        if alone:
            self._first_sent_s = self._delivered_s = now
        return Mark(now, self._first_sent_s, self._delivered, self._delivered_s, limited, alone)

    def fall_short(self, in_flight: int) -> None:
        """Less leaves than might: there is nothing to send, or the sender woke late. The next rates
        say nothing about the path.
        """
        self._limited_until = self._delivered + max(in_flight, 1)

    def lose(self, size: int) -> None:
        """`size` bytes are believed lost."""
        self._round_lost += size

    def time_out(self) -> None:
        """Nothing arrives any more: begin anew once something does."""
        self._timed_out = True
        self.state = State.START_UP
        self._rates.clear()
        self._ceiling = math.inf
        self._full_rate, self._flat = 0.0, 0

    def acknowledge(self, now: float, size: int, newest: Mark | None, in_flight: int) -> None:
        """`size` bytes have arrived; `newest`: the mark of the last sent among packets sent once
        (of one sent again nobody knows which copy arrived); `in_flight`: what remains.
        """
        self._timed_out = False
        self._delivered += size
        self._delivered_s = now
        self._round_delivered += size
        if self._limited_until and self._delivered > self._limited_until:
            self._limited_until = 0
        if newest is None:
            return
        self._first_sent_s = max(self._first_sent_s, newest.sent_s)
        self._note_rtt(now, now - newest.sent_s, newest.alone)
        self._note_rate(now, newest)
        if newest.delivered >= self._round_end and self._rates:
            self._end_round(now, newest.limited)
        self._advance(now, in_flight)

    # Measurements

    def _note_rtt(self, now: float, rtt: float, alone: bool) -> None:
        self._round_rtt = min(self._round_rtt, rtt)
        self._round_samples += 1
        self._lowest_rtt = min(self._lowest_rtt, rtt)
        stale = now - self._min_rtt_s > MIN_RTT_S
        # After a pause the queue is empty: that sample is as good as a probe's.
        if self.min_rtt is None or rtt <= self.min_rtt or (stale and alone):
            self.min_rtt = max(rtt, 1e-4)
            self._min_rtt_s = now
        elif stale and self.state is State.PROBE:
            self._enter(State.PROBE_RTT, now)

    def _note_rate(self, now: float, mark: Mark) -> None:
        """Delivered since the packet left, over the longer of the times that took to send and to
        arrive: acknowledgements that come in a heap don't make the path look faster.
        """
        interval = max(mark.sent_s - mark.first_sent_s, now - mark.delivered_s)
        if interval < (self.min_rtt or 0):
            return
        rate = (self._delivered - mark.delivered) / interval
        if mark.limited and rate < self.bandwidth:
            return
        self._round_rate = max(self._round_rate, rate)
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((self._round, rate))
        while self._rates[0][0] <= self._round - BANDWIDTH_ROUNDS:
            self._rates.popleft()

    def _end_round(self, now: float, limited: bool) -> None:
        heavy = self._heavy_loss()
        if heavy:
            lower = max(BACK_OFF * self.bandwidth, self._round_rate)
            self._ceiling = min(self._ceiling, lower)
        if self.state is State.START_UP:
            if not limited:
                self._note_growth()
            if heavy or self._flat >= FLAT_ROUNDS or self.bandwidth >= self.cap or self._queued():
                self._enter(State.DRAIN, now)
        self._round += 1
        self._round_end = self._delivered
        self._round_lost = self._round_delivered = self._round_samples = 0
        self._round_rate, self._round_rtt = 0.0, math.inf

    def _heavy_loss(self) -> bool:
        lost, arrived = self._round_lost, self._round_delivered
        return lost >= HEAVY_LOSS_BYTES and lost > HEAVY_LOSS * (lost + arrived)

    def _note_growth(self) -> None:
        if self.bandwidth >= FLAT_GROWTH * self._full_rate:
            self._full_rate, self._flat = self.bandwidth, 0
        else:
            self._flat += 1

    def _queued(self) -> bool:
        if self.min_rtt is None or self._round_samples < QUEUE_SAMPLES:
            return False
        margin = min(max(QUEUE_SHARE * self.min_rtt, QUEUE_LEAST_S), QUEUE_MOST_S)
        return self._round_rtt > self.min_rtt + margin

    # States

    def _enter(self, state: State, now: float, gain: float = CRUISE) -> None:
        self.state, self._gain, self._since_s = state, gain, now
        self._rate_before = self.bandwidth
        self._lowest_rtt = math.inf

    def _advance(self, now: float, in_flight: int) -> None:
        """Go on to what comes next, when it's time."""
        if self.min_rtt is None or self.state is State.START_UP:
            return
        drained = in_flight <= self.bandwidth * self.min_rtt
        round_trips = (now - self._since_s) / self.min_rtt
        if self.state is State.DRAIN:
            if drained:
                self._go_up(now, UP)
        elif self.state is State.PROBE_RTT:
            if now - self._since_s >= max(PROBE_RTT_S, 2 * self.min_rtt):
                self.min_rtt, self._min_rtt_s = self._lowest_rtt, now
                self._enter(State.PROBE, now)
        elif self._gain == CRUISE:
            if round_trips >= CRUISE_ROUND_TRIPS:
                self._go_up(now, UP)
        elif self._gain > CRUISE:
            if round_trips >= UP_ROUND_TRIPS:
                if self.bandwidth >= FRUITFUL * self._rate_before:
                    self._go_up(now, MORE)
                else:
                    self._enter(State.PROBE, now, DOWN)
        elif drained or round_trips >= DOWN_ROUND_TRIPS:
            self._enter(State.PROBE, now)

    def _go_up(self, now: float, gain: float) -> None:
        self._ceiling *= UP
        self._enter(State.PROBE, now, gain)
