"""Who may send what to whom in the room: a matrix of every message type, sender and receiver.

The rows come from the union of the messages; a type without a policy here fails the test.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.protocol import messages
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    Chat,
    EndMedia,
    Error,
    Locate,
    OfferMedia,
    RequestMedia,
    Status,
    encode,
)
from ucam.web.members import Effect, Newcomer
from ucam.web.room import Room
from web.helpers import ANN, BOB, DISK, NOW_S, TILL, TOML, YARD, access, sent_to

EVE = "eve@example.com"
VAULT = "vault@home.loc"
# Eve and the vault are at home alone; Bob, the till and the disk in the shop alone; Ann in both.
WORLD = TOML.replace('"bob@example.com"]', f'"bob@example.com", "{EVE}"]').replace(
    'devices = ["yard@home.loc"]\nusers = ["ann@example.com"]',
    f'devices = ["yard@home.loc"]\nstorage = "{VAULT}"\nusers = ["ann@example.com", "{EVE}"]',
)
WORLD += f'users = ["ann@example.com", "{BOB}"]\n'

VIEWERS: tuple[Role, ...] = ("user", "player")
DEVICES: tuple[Role, ...] = ("device", "storage")
ALL = (None,)
"""Instead of a receiver: everybody who may hear it."""
Pairs = frozenset[tuple[Role, Role | None]]


def each(senders: Iterable[Role], receivers: Iterable[Role | None]) -> Pairs:
    """Each of these may send to each of those."""
    return frozenset(product(senders, receivers))


# Which role may send it to which.
POLICIES: dict[str, Pairs] = {
    "RequestMedia live": each(VIEWERS, ["device"]),
    "RequestMedia recordings": each(VIEWERS, ["storage"]),
    "OfferMedia": each(DEVICES, VIEWERS),
    "OfferMedia to all": each(DEVICES, ALL),
    "AnswerMedia": each(VIEWERS, DEVICES),
    "EndMedia": each(VIEWERS, DEVICES) | each(DEVICES, VIEWERS),
    "Locate": each(VIEWERS, ["device"]),
    "Chat to one": each([*VIEWERS, *DEVICES], [*VIEWERS, *DEVICES]),
    "Chat to all": each([*VIEWERS, *DEVICES], ALL),
    "Status": each(DEVICES, ALL),
    # Only the server says these.
    "Welcome": each([], []),
    "Connect": each([], []),
    "Disconnect": each([], []),
    "Error": each([], []),
    "TokensChanged": each([], []),
}
TO_ONE = [row for row, pairs in POLICIES.items() if any(to is not None for _, to in pairs)]

# Connection, full JID, role.
PEERS: tuple[tuple[int, str, Role], ...] = (
    (1, f"{BOB}/tab", "user"),
    (2, f"{BOB}/tv", "player"),
    (3, f"{TILL}/pi", "device"),
    (4, f"{DISK}/pi", "storage"),
    (5, f"{EVE}/tab", "user"),
    (6, f"{EVE}/tv", "player"),
    (7, f"{YARD}/pi", "device"),
    (8, f"{VAULT}/pi", "storage"),
    (9, f"{ANN}/tab", "user"),
)
OF_THE_SHOP = {1, 2, 3, 4, 9}
# Of each role: somebody in the shop, somebody elsewhere, and somebody who isn't there at all.
VISIBLE: dict[Role, str] = {
    "user": f"{ANN}/tab",
    "player": f"{BOB}/tv",
    "device": f"{TILL}/pi",
    "storage": f"{DISK}/pi",
}
HIDDEN: dict[Role, str] = {
    "user": f"{EVE}/tab",
    "player": f"{EVE}/tv",
    "device": f"{YARD}/pi",
    "storage": f"{VAULT}/pi",
}
ABSENT = "ghost@nowhere.loc/x"


def room(folder: Path) -> Room:
    """Everybody is there."""
    found = Room(access(folder, WORLD))
    for connection, jid, role in PEERS:
        full = JID(jid)
        found.connect(connection, Newcomer(full, role, full.local), NOW_S)
    return found


def message(row: str, to: str) -> AnyMessage:
    """One message of a row; `from` is a lie, whoever sends it."""
    lie: dict[str, Any] = {"from_": f"{EVE}/tab"}
    call: dict[str, Any] = {"to": to, "call": "c1", **lie}
    match row:
        case "RequestMedia live":
            return RequestMedia(kind="live", **call)
        case "RequestMedia recordings":
            return RequestMedia(kind="recordings", **call)
        case "OfferMedia":
            return OfferMedia(sdp="v=0", **call)
        case "OfferMedia to all":
            return OfferMedia(sdp="v=0", **lie)
        case "AnswerMedia":
            return AnswerMedia(sdp="v=0", **call)
        case "EndMedia":
            return EndMedia(**call)
        case "Locate":
            return Locate(to=to, **lie)
        case "Chat to one":
            return Chat(text="hello", to=to, **lie)
        case "Chat to all":
            return Chat(text="hello", **lie)
        case "Status":
            return Status(fields={"recording": "stored"}, **lie)
        case "Welcome":
            return messages.Welcome(jid=to, roster=(), ice_servers=(), server_time="", locations=())
        case "Connect" | "Disconnect":
            kind: Any = getattr(messages, row)
            told: AnyMessage = kind(jid=to, name="x", role="user", location="shop")
            return told
        case "Error":
            return Error(code="x", text="x")
        case "TokensChanged":
            return messages.TokensChanged()
    raise AssertionError(f"no message is made for {row}")


def view(room: Room) -> list[Any]:
    """What everybody would be told who came now: all that can be seen of the room's state."""
    views = []
    for number, (jid, role) in enumerate(((f"{ANN}/look", "user"), (f"{EVE}/look", "user")), 100):
        effects = room.connect(number, Newcomer(JID(jid), "user", "look"), NOW_S)
        views.append([encode(m) for m in sent_to(effects, number)])
        room.disconnect(number, NOW_S)
        assert role == "user"
    return views


def heard(effects: list[Effect]) -> dict[int, list[AnyMessage]]:
    """Who hears what."""
    every = {connection: sent_to(effects, connection) for connection, _, _ in PEERS}
    return {connection: told for connection, told in every.items() if told}


def test_every_type_of_message_has_a_policy() -> None:
    types = {kind.__name__ for kind in get_args(AnyMessage)}
    assert types == {row.split()[0] for row in POLICIES}


SHOP: list[tuple[int, Role]] = [(c, role) for c, _, role in PEERS if c in OF_THE_SHOP - {9}]


@pytest.mark.parametrize("row", POLICIES)
@pytest.mark.parametrize(("sender", "role"), SHOP, ids=[role for _, role in SHOP])
def test_the_matrix(tmp_path: Path, row: str, sender: int, role: Role) -> None:
    policy = POLICIES[row]
    jid = next(jid for connection, jid, _ in PEERS if connection == sender)
    cells = 0
    for receiver, to in VISIBLE.items():
        if to == jid:
            continue
        place = room(tmp_path)
        before = view(place)
        told = heard(place.receive(sender, message(row, to), NOW_S))
        cells += 1
        if (role, receiver) in policy or (role, None) in policy:
            # It arrives at those it is for, with its true sender, and at nobody elsewhere.
            assert told.keys() <= OF_THE_SHOP, (row, role, receiver)
            for messages_of_one in told.values():
                for one in messages_of_one:
                    assert not isinstance(one, Error), (row, role, receiver)
                    assert getattr(one, "from_", None) == jid
            if (role, None) not in policy:
                target = next(c for c, full, _ in PEERS if full == to)
                assert told.keys() - {sender} == {target}
        else:
            (only,) = told.pop(sender)
            assert isinstance(only, Error), (row, role, receiver)
            assert told == {}, (row, role, receiver)
            assert view(place) == before, (row, role, receiver)
    assert cells >= 3


@pytest.mark.parametrize("row", TO_ONE)
@pytest.mark.parametrize(("sender", "role"), SHOP, ids=[role for _, role in SHOP])
def test_forbidden_and_absent_are_one_answer(
    tmp_path: Path, row: str, sender: int, role: Role
) -> None:
    answers = set()
    place = room(tmp_path)
    before = view(place)
    bare = [jid.partition("/")[0] for jid in HIDDEN.values()]
    for to in (*HIDDEN.values(), *bare, ABSENT, ABSENT.partition("/")[0], "", "no jid", "x" * 999):
        told = heard(place.receive(sender, message(row, to), NOW_S))
        assert told.keys() == {sender}, (row, role, to)
        (only,) = told[sender]
        assert isinstance(only, Error), (row, role, to)
        answers.add(encode(only))
    assert len(answers) == 1, (row, role)
    assert view(place) == before
