"""The controller on simulated paths: seconds of traffic in milliseconds, no socket, no clock."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.playback.simulated import CAP, WIRE_BYTES, Clock, Machine, Sender
from support.link import Link, percentile
from ucam.storage.playback.congestion import (
    INITIAL_WINDOW,
    LEAST_WINDOW,
    PACKET_BYTES,
    Controller,
    State,
)

SECONDS = 10.0
MBIT = 125_000.0


def sent(
    link: Link, round_trip_s: float, *, supply: float | None = None, seconds: float = SECONDS
) -> Sender:
    clock = Clock()
    sender = Sender(clock, link, round_trip_s / 2, supply)
    clock.run(seconds)
    return sender


def payload(rate: float) -> float:
    """Of a bottleneck's bytes a second those that can be user data."""
    return rate * PACKET_BYTES / WIRE_BYTES


@pytest.mark.parametrize(
    ("round_trip_s", "loss"), [(0.03, 0.003), (0.08, 0.003), (0.08, 0.01), (0.15, 0.005)]
)
def test_random_loss_costs_its_share_and_no_more(round_trip_s: float, loss: float) -> None:
    sender = sent(Link(round_trip_s / 2, loss), round_trip_s)
    assert sender.fresh / SECONDS > 0.9 * CAP
    assert sender.resent < 1.6 * loss * sender.sent + 10


@pytest.mark.parametrize("round_trip_s", [0.03, 0.08])
def test_a_bottleneck_is_used_without_filling_its_queue(round_trip_s: float) -> None:
    link = Link(round_trip_s / 2, rate=20 * MBIT, queue_s=0.1)
    sender = sent(link, round_trip_s)
    assert sender.fresh / SECONDS > 0.95 * payload(20 * MBIT)
    assert percentile(link.waits, 0.95) < 0.06
    assert sender.resent < 0.01 * sender.sent


def test_a_sender_that_is_often_late_loses_little_by_it() -> None:
    """Three tenths of the time, up to 60 ms each, the sender's machine has others to serve."""
    clock = Clock()
    near = Machine(clock, share=0.3)
    sender = Sender(clock, Link(0.04, 0.003), 0.04, near=near)
    clock.run(SECONDS)
    assert sender.fresh / SECONDS > 0.92 * CAP
    assert sender.resent < 0.006 * sender.sent


def test_a_late_sender_fills_no_queue() -> None:
    clock, link = Clock(), Link(0.015, rate=20 * MBIT, queue_s=0.1)
    sender = Sender(clock, link, 0.015, near=Machine(clock, share=0.2, longest_s=0.03))
    clock.run(SECONDS)
    assert sender.fresh / SECONDS > 0.9 * payload(20 * MBIT)
    assert percentile(link.waits, 0.95) < 0.06
    assert sender.resent < 0.01 * sender.sent


def test_a_receiver_that_is_late_costs_nothing_while_its_socket_has_room() -> None:
    clock = Clock()
    far = Machine(clock, share=0.3, longest_s=0.02, room=56)
    sender = Sender(clock, Link(0.04, 0.003), 0.04, far=far)
    clock.run(SECONDS)
    assert sender.fresh / SECONDS > 0.92 * CAP
    assert sender.resent < 0.03 * sender.sent


def test_a_late_sender_notices_a_path_that_narrows() -> None:
    """However often it was late: rates that say nothing don't hide those that do."""
    clock, link = Clock(), Link(0.04, rate=20 * MBIT, queue_s=0.2)
    sender = Sender(clock, link, 0.04, near=Machine(clock, share=0.3))
    clock.run(5)
    link.rate = 6 * MBIT
    clock.run(10)
    begin, resent, fresh = len(link.waits), sender.resent, sender.fresh
    clock.run(16)
    assert (sender.fresh - fresh) / 6 > 0.8 * payload(6 * MBIT)
    assert percentile(link.waits[begin:], 0.95) < 0.12
    assert sender.resent - resent < 100


@settings(max_examples=15, deadline=None)
@given(
    mbit=st.floats(0.5, 20),
    round_trip_s=st.floats(0.01, 0.2),
    queue_s=st.floats(0, 0.5),
    loss=st.floats(0, 0.01),
    seed=st.integers(0, 1000),
)
def test_any_path(mbit: float, round_trip_s: float, queue_s: float, loss: float, seed: int) -> None:
    queue_s += 10 * WIRE_BYTES / (mbit * MBIT)  # ten packets is the least that anybody builds
    link = Link(round_trip_s / 2, loss, mbit * MBIT, queue_s, chance=random.Random(seed))
    sender = sent(link, round_trip_s)
    assert sender.fresh / SECONDS > 0.75 * min(payload(mbit * MBIT), CAP)
    assert sender.resent < 0.12 * sender.sent
    # What start-up left behind is gone.
    later = link.waits[len(link.waits) // 2 :]
    assert percentile(later, 0.5) < 0.25 * round_trip_s + 0.08


@pytest.mark.parametrize("begin_s", [0.0, 3.0])
@pytest.mark.parametrize(("mbit", "round_trip_s"), [(8, 0.08), (20, 0.03)])
def test_two_share(mbit: float, round_trip_s: float, begin_s: float) -> None:
    clock, link = Clock(), Link(round_trip_s / 2, 0.001, mbit * MBIT, 0.2)
    both = [
        Sender(clock, link, round_trip_s / 2),
        Sender(clock, link, round_trip_s / 2, begin_s=begin_s),
    ]
    clock.run(20)
    before = [sender.fresh for sender in both]
    clock.run(40)
    shares = [sender.fresh - earlier for sender, earlier in zip(both, before, strict=True)]
    assert jain(shares) > 0.85
    assert sum(shares) / 20 > 0.9 * payload(mbit * MBIT)


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all have the same."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def test_the_path_narrows_and_widens() -> None:
    clock, link = Clock(), Link(0.04, rate=20 * MBIT, queue_s=0.15)
    sender = Sender(clock, link, 0.04)
    clock.run(5)
    link.rate = 6 * MBIT
    clock.run(8)
    assert sender.control.bandwidth < 1.2 * payload(6 * MBIT)
    begin, resent = len(link.waits), sender.resent
    clock.run(13)
    assert percentile(link.waits[begin:], 0.95) < 0.08
    assert sender.resent - resent < 100
    link.rate = 20 * MBIT
    clock.run(17)
    assert sender.control.bandwidth > 0.9 * payload(20 * MBIT)


def test_what_the_source_holds_back_says_nothing_about_the_path() -> None:
    """A player that takes 0.5 MB/s doesn't teach the controller that there is no more."""
    clock = Clock()
    sender = Sender(clock, Link(0.04, 0.003), 0.04)
    clock.run(5)
    known = sender.control.bandwidth
    sender.supply = 0.0
    clock.run(5.5)
    sender.supply = (sender.fresh + 0.5e6) / 6.0
    clock.run(30)
    assert sender.control.bandwidth > 0.9 * known


def test_the_first_packets_are_spread_over_a_round_trip() -> None:
    control = Controller(CAP, 0.0)
    assert control.window == INITIAL_WINDOW
    assert control.pace <= INITIAL_WINDOW / 0.1
    assert control.state is State.START_UP


def test_silence_begins_anew_and_gently() -> None:
    clock, link = Clock(), Link(0.04, rate=20 * MBIT)
    sender = Sender(clock, link, 0.04)
    clock.run(5)
    link.loss = 1.0
    clock.run(8)
    assert sender.control.window == LEAST_WINDOW
    assert sender.control.bandwidth == 0
    link.loss = 0.0
    clock.run(12)
    assert sender.control.bandwidth > 0.9 * payload(20 * MBIT)


def test_a_longer_path_is_noticed() -> None:
    """The lowest round trip is forgotten after a while: a phone that moved to another network."""
    clock, link = Clock(), Link(0.01, rate=20 * MBIT)
    sender = Sender(clock, link, 0.01)
    clock.run(5)
    link.delay_s = 0.09
    clock.run(35)
    assert sender.control.min_rtt is not None
    assert sender.control.min_rtt >= 0.1
    before = sender.fresh
    clock.run(40)
    assert (sender.fresh - before) / 5 > 0.9 * payload(20 * MBIT)
