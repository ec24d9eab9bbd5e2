"""Senders on a simulated path, event by event: hours of traffic in seconds, the same each time."""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from support.link import Link
from ucam.storage.playback.congestion import PACKET_BYTES, Controller, Mark
from ucam.storage.playback.pacing import Pacer

WIRE_BYTES = PACKET_BYTES + 86  # SCTP, DTLS, UDP and IP around it
CAP = 3e6
TICK_S = 0.004


class Clock:
    """What happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), call))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()
        self.now = until


@dataclass
class Machine:
    """Does what it is told, but for the times in which it has others to serve: `share` of the time,
    up to `longest_s` each. What comes meanwhile waits, `room` of it; the rest is lost.
    """

    clock: Clock
    share: float = 0.0
    longest_s: float = 0.06
    room: float = math.inf
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    lost: int = 0
    _back_s: float = 0.0
    _waiting: int = 0

    def __post_init__(self) -> None:
        if self.share:
            self._pause()

    def _pause(self) -> None:
        length = self.chance.uniform(0, self.longest_s)
        self._back_s = self.clock.now + length
        busy = self.chance.uniform(0, self.longest_s * (1 / self.share - 1))
        self.clock.at(self._back_s + busy, self._pause)

    def do(self, work: Callable[[], None], *, packet: bool = False) -> None:
        """Now, or when it is back."""
        if self.clock.now >= self._back_s:
            work()
            return
        if packet and self._waiting >= self.room:
            self.lost += 1
            return
        self._waiting += packet

        def later() -> None:
            self._waiting -= packet
            work()

        self.clock.at(self._back_s, later)


@dataclass(eq=False)
class Packet:
    order: int
    mark: Mark
    arrived: bool = False
    again: bool = False


@dataclass
class Sender:
    """Sends without end, or `supply` bytes a second. Each packet is acknowledged at once."""

    clock: Clock
    link: Link
    back_s: float
    supply: float | None = None
    begin_s: float = 0.0
    near: Machine | None = None
    far: Machine | None = None
    sent: int = 0
    resent: int = 0
    arrived: int = 0
    in_flight: int = 0
    _flying: deque[Packet] = field(default_factory=deque)
    _tops: list[int] = field(default_factory=lambda: [0, 0, 0])
    _again: int = 0
    _quiet_s: float = 0.0

    def __post_init__(self) -> None:
        self.control = Controller(CAP, self.begin_s)
        self._pacer = Pacer(self.begin_s)
        self._near = self.near or Machine(self.clock)
        self._far = self.far or Machine(self.clock)
        self.clock.at(self.begin_s, self._tick)

    @property
    def fresh(self) -> int:
        """Bytes sent for the first time."""
        return (self.sent - self.resent) * PACKET_BYTES

    def _tick(self) -> None:
        self._fill()
        if self._flying and self.clock.now - self._quiet_s > 0.5:
            self._quiet_s = self.clock.now
            self._lose(len(self._flying))
            self.control.time_out()
        self.clock.at(self.clock.now + TICK_S, lambda: self._near.do(self._tick))

    def _fill(self) -> None:
        if self._pacer.earn(self.clock.now, self.control.pace, self.in_flight):
            self.control.fall_short(self.in_flight)
        while self.in_flight + PACKET_BYTES <= self.control.window:
            if not self._again and self._exhausted():
                self.control.fall_short(self.in_flight)
                return
            if not self._pacer.open:
                self._pacer.wait(self.control.pace)
                return
            self._send()

    def _exhausted(self) -> bool:
        if self.supply is None:
            return False
        return self.fresh >= self.supply * (self.clock.now - self.begin_s)

    def _send(self) -> None:
        again = self._again > 0
        self._again -= again
        self.resent += again
        self.sent += 1
        packet = Packet(self.sent, self.control.send(self.clock.now, self.in_flight), again=again)
        self._flying.append(packet)
        self.in_flight += PACKET_BYTES
        self._pacer.spend(PACKET_BYTES)
        out = self.link.enter(self.clock.now, WIRE_BYTES)
        if out is not None:
            self.clock.at(out, lambda: self._far.do(lambda: self._come(packet), packet=True))

    def _come(self, packet: Packet) -> None:
        when = self.clock.now + self.back_s
        self.clock.at(when, lambda: self._near.do(lambda: self._acknowledged(packet)))

    def _acknowledged(self, packet: Packet) -> None:
        packet.arrived = True
        self._quiet_s = self.clock.now
        self.arrived += PACKET_BYTES
        if packet not in self._flying:
            return  # given up before
        self.in_flight -= PACKET_BYTES
        heapq.heappushpop(self._tops, packet.order)
        overtaken = itertools.takewhile(lambda other: other.order < self._tops[0], self._flying)
        self._lose(sum(1 for _ in overtaken))
        mark = None if packet.again else packet.mark
        self.control.acknowledge(self.clock.now, PACKET_BYTES, mark, self.in_flight)
        self._fill()

    def _lose(self, first: int) -> None:
        """Of the first so many, those that have not arrived are sent again."""
        for _ in range(first):
            if not self._flying.popleft().arrived:
                self.in_flight -= PACKET_BYTES
                self._again += 1
                self.control.lose(PACKET_BYTES)
