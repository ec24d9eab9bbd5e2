"""The pacer by the clock it is told: no loop, no sleep."""

import pytest

from ucam.storage.playback.pacing import (
    ARREARS_S,
    CATCH_UP_BYTES,
    CATCH_UP_S,
    QUANTUM_S,
    Pacer,
)

PACE = 2e6
PACKET = 1000
FLYING = 50_000


def leave(pacer: Pacer) -> int:
    """Send as much as may leave now, then wait; returns the bytes."""
    sent = 0
    while pacer.open:
        pacer.spend(PACKET)
        sent += PACKET
    pacer.wait(PACE)
    return sent


def test_the_pace_is_kept() -> None:
    pacer, now, sent = Pacer(0.0), 0.0, 0
    while now < 10:
        assert not pacer.earn(now, PACE, FLYING)
        sent += leave(pacer)
        now += pacer.wait(PACE)
    assert sent == pytest.approx(10 * PACE, rel=0.01)


def test_a_wait_is_never_shorter_than_timers_are_good_to() -> None:
    pacer = Pacer(0.0)
    pacer.earn(0.001, PACE, FLYING)
    assert leave(pacer)
    assert pacer.wait(PACE) == QUANTUM_S
    pacer.spend(PACKET)
    assert pacer.wait(1000) == 1.0  # a slow one waits until it has earned what it owes


@pytest.mark.parametrize(("pace", "burst"), [(1e6, 1e6 * CATCH_UP_S), (6e6, CATCH_UP_BYTES)])
def test_what_a_late_sender_sends_at_once_is_bounded(pace: float, burst: float) -> None:
    pacer = Pacer(0.0)
    pacer.earn(0.0, pace, FLYING)
    leave(pacer)
    assert pacer.earn(0.05, pace, FLYING)
    assert burst <= leave(pacer) < burst + PACKET


def test_what_a_late_sender_missed_is_made_good_at_twice_the_pace() -> None:
    pacer = Pacer(0.0)
    pacer.earn(0.0, PACE, FLYING)
    leave(pacer)
    now = 0.06
    pacer.earn(now, PACE, FLYING)
    sent = leave(pacer)
    for _ in range(25):
        now += QUANTUM_S
        assert not pacer.earn(now, PACE, FLYING)
        again = leave(pacer)
        assert again <= 2 * PACE * QUANTUM_S + PACKET
        sent += again
    assert sent == pytest.approx(PACE * now, abs=2 * PACKET)  # all of it, and no more than that


def test_no_more_than_so_much_is_made_good() -> None:
    pacer = Pacer(0.0)
    pacer.earn(0.0, PACE, FLYING)
    leave(pacer)
    sent, now = 0, 10.0
    while now < 11:
        pacer.earn(now, PACE, FLYING)
        sent += leave(pacer)
        now += QUANTUM_S
    assert sent <= PACE * (1 + ARREARS_S + CATCH_UP_S) + PACKET


def test_who_had_nothing_to_send_was_not_late() -> None:
    pacer = Pacer(0.0)
    pacer.earn(0.0, PACE, FLYING)
    pacer.earn(0.01, PACE, FLYING)
    assert not pacer.earn(5.0, PACE, FLYING)
    assert leave(pacer) <= PACE * CATCH_UP_S + PACKET
    pacer.earn(5.0 + QUANTUM_S, PACE, FLYING)
    assert leave(pacer) <= PACE * QUANTUM_S + PACKET  # nothing is owed


def test_a_path_that_stood_idle_gets_no_burst() -> None:
    pacer = Pacer(0.0)
    pacer.earn(5.0, PACE, 0)
    assert leave(pacer) <= PACE * QUANTUM_S + PACKET


def test_on_a_short_path_all_may_have_arrived_while_the_pace_was_waited_for() -> None:
    pacer, now, sent = Pacer(0.0), 0.0, 0
    while now < 10:
        assert not pacer.earn(now, PACE, 0)
        sent += leave(pacer)
        now += pacer.wait(PACE) + 0.002  # as exact as a loop's timers are
    assert sent == pytest.approx(10 * PACE, rel=0.01)
