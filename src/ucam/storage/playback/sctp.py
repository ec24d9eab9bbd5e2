"""aiortc's SCTP with a sender that long and lossy paths don't bring to its knees.

aiortc 1.16 resends a lost packet many times a round trip, halves its rate at each loss, waits a
second for a lost tail, and never looks at the peer's window: at 80 ms and 0.3 % loss a recording of
4 Mbit/s stalls. `Transport` replaces the sending half; receiving, set-up and closing stay aiortc's.

- What may leave, and how fast, says `congestion.Controller`.
- A packet is lost when three that left later have arrived and nearly a round trip has passed since
  it left (RACK, RFC 8985), and is resent once for that.
- A silent tail is probed by sending its last packet again, before the long time-out.

aiortc has no public hook for it: `install` puts the class where aiortc looks for it, and leaves
aiortc alone when the private methods in question are not those that this was written for.
"""

import asyncio
import contextlib
import hashlib
import heapq
import inspect
import logging
from collections import deque
from dataclasses import dataclass
from itertools import islice

from aiortc import RTCDataChannel, RTCDtlsTransport, rtcpeerconnection
from aiortc.rtcsctptransport import DataChunk, RTCSctpTransport, SackChunk
from aiortc.utils import uint32_gt, uint32_gte

from ucam.storage.playback.congestion import Controller, Mark
from ucam.storage.playback.pacing import Pacer

_log = logging.getLogger(__name__)
# Bytes a second to one viewer: 24 Mbit/s, six times the usual recording. Four or five such viewers
# take a core (70 ms a megabyte), and none of them may starve the recording.
CAP = 3e6
# Twice that for the first megabyte after a pause, so that a seek's picture is there at once; more
# at a time would overrun the 200 KB that a system keeps for a socket whose reader is late. On paths
# of less than NEAR_S alone: on longer ones it's the round trips that a seek waits for.
PEAK = 6e6
BURST_BYTES = 1_000_000
NEAR_S = 0.02
# Whoever calls an answer off has sought elsewhere: as much of the burst as a picture needs is back.
SOUGHT_BYTES = 400_000
REORDER_SHARE = 0.9  # of the lowest round-trip time
LATER_ARRIVED = 3
# After a needless resending a packet is given a round trip and a quarter, then a half and so on up
# to two: there are paths that reorder (RFC 8985 §6.2).
MOST_PATIENCE = 4
# A tail is probed after two round trips and what a receiver delays its acknowledgement (200 ms).
PROBE_ROUND_TRIPS, PROBE_EXTRA_S, PROBE_LEAST_S = 2, 0.05, 0.25
PROBES = 2  # then everything on its way is given up
FIRST_TIME_OUT_S = 1.0  # RFC 9260 §16: RTO.Initial; aiortc waits three
MOST_TIME_OUT_S = 10.0  # a viewer who is gone is noticed by ICE after half a minute

# Of each method that is replaced or leant on: the beginning of its source's SHA-256.
KNOWN = {
    "__init__": "294b0e510843",
    "_data_channel_flush": "d5f055f33db1",
    "_flight_size_decrease": "16a9a53b25b9",
    "_flight_size_increase": "ed02a0fe6eb5",
    "_get_extensions": "5dd7216e5694",
    "_receive_chunk": "830bae988365",
    "_receive_sack_chunk": "4b35ccf1372c",
    "_send": "f0f8aff63a9a",
    "_send_chunk": "eb2f909e3c2f",
    "_set_extensions": "62ddbc393a80",
    "_set_state": "72015aed4aa4",
    "_t3_cancel": "0e0e3e38da29",
    "_t3_expired": "0e759bf4b1b2",
    "_t3_restart": "abf85ae57b8f",
    "_t3_start": "fa045ec7c5ff",
    "_transmit": "aa8941d5f8f0",
    "_update_rto": "a1e7afb18886",
}


@dataclass(slots=True, eq=False)
class Flight:
    """One sending of a chunk; `order`: the how-manieth of all sendings."""

    chunk: DataChunk
    order: int
    count: int  # sendings of this chunk, with this one
    mark: Mark

    @property
    def over(self) -> bool:
        """It has arrived, or was sent once more since."""
        return self.chunk._acked or self.chunk._sent_count != self.count


class Transport(RTCSctpTransport):
    """One viewer's SCTP association. All channels are reliable: the peer isn't offered less."""

    def __init__(self, transport: RTCDtlsTransport, port: int = 5000) -> None:
        super().__init__(transport, port)
        self._local_partial_reliability = False
        self._rto = FIRST_TIME_OUT_S
        self._clock = asyncio.get_event_loop()
        self._control = Controller(CAP, self._clock.time())
        self._flights: dict[int, Flight] = {}  # by TSN, the last sending of what hasn't arrived
        self._flying: deque[Flight] = deque()  # by order; those that are over go when they're first
        self._lost: deque[DataChunk] = deque()
        self._order = 0
        self._arrived_orders = [0] * LATER_ARRIVED  # a heap of the highest
        self._patience = 0  # quarters of a round trip
        self._unacknowledged = 0  # bytes: on their way or lost
        self._peer_window: int | None = None
        self._burst = float(BURST_BYTES)  # what's left of it
        self._burst_s = self._clock.time()
        self._pacer = Pacer(self._clock.time())
        self._wake: asyncio.TimerHandle | None = None
        self._silences = 0  # time-outs since something arrived
        self._silent_s = 0.0  # when it has been silent for too long
        self._tasks: set[asyncio.Task[None]] = set()

    # Sending

    def forget(self, channel: RTCDataChannel, prefix: bytes) -> None:
        """Drop what waits on a channel and begins with `prefix`: nobody wants it any more. What has
        begun to leave goes on.
        """
        waiting = list(self._data_channel_queue)
        self._data_channel_queue.clear()
        dropped = 0
        for item in waiting:
            if item[0] is channel and item[2].startswith(prefix):
                dropped += len(item[2])
            else:
                self._data_channel_queue.append(item)
        self._burst = max(self._burst, SOUGHT_BYTES)
        channel._addBufferedAmount(-dropped)

    async def _transmit(self) -> None:
        """Send what window, peer and pace allow; a timer goes on when it was the pace."""
        self._earn()
        window = self._control.window  # it changes with what arrives alone
        while (again := self._next_lost()) is not None or self._outbound_queue:
            chunk = again or self._outbound_queue[0]
            if not self._fits(chunk, window, again is not None):
                return
            if not self._pacer.open:
                self._wake_later()
                return
            if again is not None:
                self._lost.popleft()
            else:
                self._sent_queue.append(self._outbound_queue.popleft())
                self._unacknowledged += chunk._book_size
            await self._send_data_chunk(chunk)
        if not self._data_channel_queue and self._flight_size < window:
            self._control.fall_short(self._flight_size)

    def _earn(self) -> None:
        now = self._clock.time()
        self._burst = min(self._burst + CAP * (now - self._burst_s), BURST_BYTES)
        self._burst_s = now
        near = self._control.min_rtt is not None and self._control.min_rtt < NEAR_S
        self._control.cap = PEAK if near and self._burst > 0 else CAP
        if self._pacer.earn(now, self._control.pace, self._flight_size):
            self._control.fall_short(self._flight_size)

    def _next_lost(self) -> DataChunk | None:
        while self._lost and self._lost[0]._acked:
            self._lost.popleft()
        return self._lost[0] if self._lost else None

    def _fits(self, chunk: DataChunk, window: int, again: bool) -> bool:
        size = chunk._book_size
        if self._flight_size and self._flight_size + size > window:
            return False
        if again or not self._unacknowledged:
            return True  # one packet asks for a full peer's window (RFC 9260 §6.1 A)
        # Until the first acknowledgement: what the peer said in its INIT, which aiortc keeps there.
        room = self._ssthresh if self._peer_window is None else self._peer_window
        if self._unacknowledged + size <= room:
            return True
        self._control.fall_short(self._flight_size)
        return False

    async def _send_data_chunk(self, chunk: DataChunk) -> None:
        mark = self._control.send(self._clock.time(), self._flight_size)
        chunk._sent_count += 1
        self._order += 1
        flight = Flight(chunk, self._order, chunk._sent_count, mark)
        self._flights[chunk.tsn] = flight
        self._flying.append(flight)
        self._flight_size_increase(chunk)
        self._pacer.spend(chunk._book_size)
        self._burst -= chunk._book_size
        self._t3_restart()
        await self._send_chunk(chunk)

    def _wake_later(self) -> None:
        wait = self._pacer.wait(self._control.pace)
        if self._wake is None:
            self._wake = self._clock.call_later(wait, self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._go_on()

    def _go_on(self, probe: DataChunk | None = None) -> None:
        task = self._clock.create_task(self._pump(probe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, probe: DataChunk | None) -> None:
        with contextlib.suppress(ConnectionError):  # DTLS has ended; so will this
            if self._association_state == self.State.CLOSED:
                return
            if probe is not None and not probe._acked:
                await self._send_data_chunk(probe)
            await self._transmit()
            await self._data_channel_flush()

    # Acknowledgements

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        """Note what arrived and what must be lost, and send on."""
        cumulative = chunk.cumulative_tsn
        last = self._sent_queue[-1].tsn if self._sent_queue else self._last_sacked_tsn
        if uint32_gt(self._last_sacked_tsn, cumulative) or uint32_gt(cumulative, last):
            return  # an old one, or of what was never sent
        self._last_sacked_tsn = cumulative
        self._peer_window = chunk.advertised_rwnd
        now, size, newest = self._clock.time(), 0, None
        for arrived in self._take_arrived(chunk):
            size += arrived._book_size
            flight = self._flights.pop(arrived.tsn)
            heapq.heappushpop(self._arrived_orders, flight.order)
            if self._was_needless(flight, now):
                self._patience = min(self._patience + 1, MOST_PATIENCE)
            if flight.count == 1 and (newest is None or flight.order > newest.order):
                newest = flight
        if size:
            self._unacknowledged -= size
            self._silences = 0
            if newest is not None:
                self._update_rto(now - newest.mark.sent_s)
            mark = None if newest is None else newest.mark
            self._find_lost(now)
            self._control.acknowledge(now, size, mark, self._flight_size)
        if not self._unacknowledged:
            self._t3_cancel()
        elif size:
            self._t3_restart()
        await self._transmit()
        await self._data_channel_flush()

    def _take_arrived(self, sack: SackChunk) -> list[DataChunk]:
        """The chunks of which this is the first word."""
        queue = self._sent_queue
        arrived = []
        while queue and uint32_gte(sack.cumulative_tsn, queue[0].tsn):
            chunk = queue.popleft()
            if not chunk._acked:
                arrived.append(chunk)
        if queue and queue[0]._acked:
            self._send_reneged(queue[0])
        # TSNs follow each other without a hole, so that a gap's numbers are places in the queue.
        for first, last in sack.gaps:
            for chunk in islice(queue, max(first - 1, 1), last):
                if not chunk._acked:
                    chunk._acked = True  # gaps may overlap
                    arrived.append(chunk)
        for chunk in arrived:
            chunk._acked = True
            self._flight_size_decrease(chunk)
        return arrived

    def _send_reneged(self, chunk: DataChunk) -> None:
        """The peer had it and has dropped it (RFC 9260 §6.2.1 allows it)."""
        chunk._acked = False
        self._unacknowledged += chunk._book_size
        self._flights[chunk.tsn] = Flight(
            chunk, 0, chunk._sent_count, self._control.send(self._clock.time(), self._flight_size)
        )
        self._lost.append(chunk)

    def _find_lost(self, now: float) -> None:
        flying, overtaken = self._flying, self._arrived_orders[0]
        least = REORDER_SHARE * (self._control.min_rtt or 0)
        if self._patience and self._srtt is not None:
            least = (1 + self._patience / 4) * self._srtt
        while flying:
            flight = flying[0]
            if not flight.over:
                if flight.order >= overtaken or now - flight.mark.sent_s < least:
                    return
                self._give_up(flight.chunk)
            flying.popleft()

    def _was_needless(self, flight: Flight, now: float) -> bool:
        """It was sent again, so lately that this can't be its acknowledgement: the first came."""
        round_trip = self._control.min_rtt or 0
        return flight.count > 1 and now - flight.mark.sent_s < REORDER_SHARE * round_trip

    def _give_up(self, chunk: DataChunk) -> None:
        self._flight_size_decrease(chunk)
        self._control.lose(chunk._book_size)
        self._lost.append(chunk)

    # Silence. The timer keeps aiortc's name, T3: aiortc ends it when the association ends.

    def _t3_restart(self) -> None:
        wait = self._rto
        if self._srtt is not None and self._silences < PROBES:
            wait = max(PROBE_ROUND_TRIPS * self._srtt + PROBE_EXTRA_S, PROBE_LEAST_S)
        wait = min(wait * 2 ** min(self._silences, 6), MOST_TIME_OUT_S)
        self._silent_s = self._clock.time() + wait
        if self._t3_handle is not None and self._t3_handle.when() > self._silent_s:
            self._t3_cancel()
        if self._t3_handle is None:
            self._t3_handle = self._clock.call_at(self._silent_s, self._t3_expired)

    def _t3_expired(self) -> None:
        self._t3_handle = None
        if self._association_state == self.State.CLOSED:
            return
        if self._clock.time() < self._silent_s:  # moved since the timer was set
            self._t3_handle = self._clock.call_at(self._silent_s, self._t3_expired)
            return
        probe = None
        self._silences += 1
        if self._silences <= PROBES:
            probe = next((f.chunk for f in reversed(self._flying) if not f.over), None)
        else:
            for flight in self._flying:
                if not flight.over:
                    self._give_up(flight.chunk)
            self._flying.clear()
            self._control.time_out()
        self._t3_restart()
        self._go_on(probe)

    def _set_state(self, state: RTCSctpTransport.State) -> None:
        super()._set_state(state)
        if state == self.State.CLOSED and self._wake is not None:
            self._wake.cancel()
            self._wake = None


def forget(channel: RTCDataChannel, prefix: bytes) -> None:
    """`Transport.forget`, where the channel is on one of ours; else it all goes out."""
    if isinstance(channel.transport, Transport):
        channel.transport.forget(channel, prefix)


def changed_methods() -> list[str]:
    """Those of aiortc's methods that are not as `Transport` knows them."""
    return [name for name, known in KNOWN.items() if fingerprint(name) != known]


def fingerprint(name: str) -> str:
    """Of a method of aiortc's; empty when there is none, or no source."""
    try:
        source = inspect.getsource(getattr(RTCSctpTransport, name))
    except (AttributeError, OSError, TypeError):
        return ""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def install() -> bool:
    """Have connections made from now on send with `Transport`; False: aiortc has changed."""
    if changed := changed_methods():
        _log.warning(
            "aiortc differs from the version that ucam knows (%s): recordings are sent its own "
            "way, which is slow on long paths; install the version in requirements/run.txt",
            ", ".join(changed),
        )
        return False
    rtcpeerconnection.RTCSctpTransport = Transport  # type: ignore[attr-defined]
    return True
