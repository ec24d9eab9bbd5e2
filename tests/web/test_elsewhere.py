"""What other processes tell: two rooms, and the way between them by hand."""

from pathlib import Path

import pytest

from ucam.protocol.messages import Chat, Disconnect, RequestMedia, Welcome
from ucam.web.elsewhere import HEARTBEAT_S, SILENT_S
from ucam.web.events import (
    COUNTED,
    Alive,
    Asked,
    Came,
    Carried,
    Envelope,
    Here,
    Leaving,
    Said,
    Went,
)
from ucam.web.members import CLOSE_REPLACED, Effect, Tell
from ucam.web.room import Room
from web.helpers import ANN, BOB, NOW_S, TILL, YARD, access, closed, sent_to, who

A, B, T, Y = 1, 2, 3, 4


class Pair:
    """Two processes; `carry` brings what the first's effects tell to the second."""

    def __init__(self, folder: Path) -> None:
        self.one, self.other = Room(access(folder)), Room(access(folder))
        self.told = 0
        self.one.elsewhere.joined(NOW_S)
        self.other.elsewhere.joined(NOW_S)

    def carry(self, effects: list[Effect], now_s: float = NOW_S) -> list[Effect]:
        answers: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Tell):
                self.told += isinstance(effect.event, COUNTED)
                envelope = Envelope("one", self.told, effect.event)
                answers += self.other.elsewhere.hear(envelope, now_s)
        return answers


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Ann and Bob are at the second process; the till comes to the first."""
    pair = Pair(tmp_path)
    pair.other.connect(A, who(f"{ANN}/a"), NOW_S)
    pair.other.connect(B, who(f"{BOB}/b"), NOW_S)
    return pair


def events(effects: list[Effect], kind: type) -> list[object]:
    return [e.event for e in effects if isinstance(e, Tell) and isinstance(e.event, kind)]


def test_who_comes_elsewhere_is_told_to_those_who_may_see_them(pair: Pair) -> None:
    heard = pair.carry(pair.one.connect(Y, who(f"{YARD}/y", "device"), NOW_S))
    assert len(sent_to(heard, A)) == 1
    assert sent_to(heard, B) == []
    heard = pair.carry(pair.one.connect(T, who(f"{TILL}/t", "device"), NOW_S))
    assert len(sent_to(heard, B)) == 1


def test_a_silent_process_has_died_but_not_while_nobody_can_be_heard(pair: Pair) -> None:
    pair.carry(pair.one.connect(T, who(f"{TILL}/t", "device"), NOW_S))
    alive_s = NOW_S
    while alive_s < NOW_S + 3 * SILENT_S:
        alive_s += HEARTBEAT_S
        pair.carry([Tell(None, Alive())], alive_s)
        assert sent_to(pair.other.tick(alive_s), B) == []
    pair.other.elsewhere.cut()
    assert pair.other.tick(alive_s + 10 * SILENT_S) == []
    back_s = alive_s + 20 * SILENT_S
    pair.other.elsewhere.joined(back_s)
    assert sent_to(pair.other.tick(back_s + SILENT_S / 2), B) == []
    (gone,) = sent_to(pair.other.tick(back_s + 2 * SILENT_S), B)
    assert isinstance(gone, Disconnect)
    assert gone.jid == f"{TILL}/t"


def test_a_process_that_says_goodbye_needs_no_waiting(pair: Pair) -> None:
    pair.carry(pair.one.connect(T, who(f"{TILL}/t", "device"), NOW_S))
    (gone,) = sent_to(pair.carry([Tell(None, Leaving())]), B)
    assert isinstance(gone, Disconnect)


def test_who_missed_something_asks_for_all(pair: Pair) -> None:
    pair.carry(pair.one.connect(T, who(f"{TILL}/t", "device"), NOW_S))
    lost = pair.one.connect(Y, who(f"{YARD}/y", "device"), NOW_S)
    pair.told += len(events(lost, Came))
    answers = pair.carry([Tell(None, Alive())])
    assert events(answers, Asked) == [Asked()]
    told = pair.one.elsewhere.hear(Envelope("other", 0, Asked()), NOW_S)
    heard = pair.carry([e for e in told if isinstance(e, Tell) and isinstance(e.event, Here)])
    assert [m.jid for m in sent_to(heard, A)] == [f"{YARD}/y"]  # type: ignore[union-attr]
    assert sent_to(heard, B) == []


def test_the_newer_connection_of_a_device_stays_whoever_hears_first(pair: Pair) -> None:
    older = who(f"{TILL}/t", "device")
    newer = type(older)(older.jid, older.role, older.name, arrival=7)
    heard_late = pair.one.connect(T, older, NOW_S)
    pair.other.connect(T, newer, NOW_S)
    assert closed(pair.carry(heard_late)) == []
    assert sent_to(pair.other.receive(A, RequestMedia(to=TILL, call="c", kind="live"), NOW_S), T)
    came = Came(
        next(e for e in events(pair.other.elsewhere.joined(NOW_S), Here)).members[-1]  # type: ignore[attr-defined]
    )
    effects = pair.one.elsewhere.hear(Envelope("other", 1, came), NOW_S)
    assert closed(effects) == [(T, CLOSE_REPLACED)]
    assert len(events(effects, Went)) == 1


def test_a_message_is_carried_only_if_this_process_agrees(pair: Pair) -> None:
    pair.carry(pair.one.connect(Y, who(f"{YARD}/y", "device"), NOW_S))
    secret = Chat(text="words", to=f"{BOB}/b", from_="ann@example.com/a")
    assert pair.carry([Tell("other", Carried(Y, B, secret))]) == []
    (heard,) = sent_to(pair.carry([Tell("other", Carried(Y, A, secret))]), A)
    assert isinstance(heard, Chat)
    assert heard.from_ == f"{YARD}/y"  # whose connection it was, whatever the message says


def test_what_was_said_elsewhere_stands_in_the_history(pair: Pair) -> None:
    pair.carry(pair.one.connect(B, who(f"{BOB}/there"), NOW_S))
    said = pair.one.receive(B, Chat(text="the till is open"), NOW_S)
    assert len(events(said, Said)) == 1
    assert [type(m) for m in sent_to(pair.carry(said), A)] == [Chat]
    (welcome,) = sent_to(pair.other.connect(9, who(f"{ANN}/later"), NOW_S), 9)
    assert isinstance(welcome, Welcome)
    assert [line.text for line in welcome.chat] == ["the till is open"]


def test_without_a_way_to_the_others_one_is_told_to_try_again(pair: Pair) -> None:
    pair.carry(pair.one.connect(T, who(f"{TILL}/t", "device"), NOW_S))
    ask = RequestMedia(to=TILL, call="c", kind="live")
    assert len(events(pair.other.receive(B, ask, NOW_S), Carried)) == 1
    pair.other.elsewhere.cut()
    (error,) = sent_to(pair.other.receive(B, ask, NOW_S), B)
    assert getattr(error, "code", None) == "unavailable"
    hidden = RequestMedia(to=YARD, call="c", kind="live")
    (error,) = sent_to(pair.other.receive(B, hidden, NOW_S), B)
    assert getattr(error, "code", None) == "no-such-peer"
