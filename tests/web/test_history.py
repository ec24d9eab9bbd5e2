from pathlib import Path

from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.protocol.messages import Chat
from ucam.web.access import Party
from ucam.web.events import Line
from ucam.web.history import MAX_LINES, History
from web.helpers import ANN, BOB, TILL, TOML, YARD, access


def line(text: str, by: str = ANN, places: tuple[str, ...] = ("home", "shop"), at: int = 0) -> Line:
    return Line(Chat(text=text, from_=f"{by}/x", time=f"2027-01-01T00:{at:04}"), "user", places)


def party(jid: str, role: Role = "user") -> Party:
    return Party(JID(jid), role)


def texts(history: History, folder: Path, who: Party, text: str = TOML) -> list[str]:
    return [chat.text for chat in history.for_party(access(folder, text), who)]


def test_it_is_short_and_in_order() -> None:
    history = History()
    for number in reversed(range(3 * MAX_LINES)):
        history.add([line(str(number), at=number)])
    assert [kept.chat.text for kept in history.lines] == [
        str(n) for n in range(2 * MAX_LINES, 3 * MAX_LINES)
    ]
    history.add(history.lines)
    assert len(history.lines) == MAX_LINES


def test_only_who_shares_the_place_reads_it(tmp_path: Path) -> None:
    history = History()
    history.add([line("in both", at=1), line("at home", places=("home",), at=2)])
    assert texts(history, tmp_path, party(ANN)) == ["in both", "at home"]
    assert texts(history, tmp_path, party(BOB)) == ["in both"]
    assert texts(history, tmp_path, party("eve@example.com")) == []


def test_devices_read_none(tmp_path: Path) -> None:
    history = History()
    history.add([line("in both")])
    assert texts(history, tmp_path, party(TILL, "device")) == []
    assert texts(history, tmp_path, party(YARD, "player")) == ["in both"]


def test_what_was_said_before_one_shared_a_place_stays_unheard(tmp_path: Path) -> None:
    """Ann spoke at home; later both see the shop alone."""
    history = History()
    history.add([line("at home", places=("home",))])
    moved = TOML.replace('users = ["ann@example.com"]', "users = []")
    assert texts(history, tmp_path, party(BOB), moved) == []
    assert texts(history, tmp_path, party(ANN), moved) == []
