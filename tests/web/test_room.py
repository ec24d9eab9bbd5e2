from pathlib import Path
from typing import Any

import pytest

from ucam.base.jid import JID
from ucam.protocol.messages import (
    MAX_MESSAGE_BYTES,
    AnswerMedia,
    AnyMessage,
    Chat,
    Connect,
    Disconnect,
    EndMedia,
    Error,
    IceServer,
    Locate,
    OfferMedia,
    RequestMedia,
    Status,
    Welcome,
)
from ucam.web.members import (
    CLOSE_NO_ACCESS,
    CLOSE_REPLACED,
    CLOSE_TOO_MANY,
    MESSAGE_BURST,
    PRESENCE_BURST,
    Known,
    Newcomer,
    Send,
)
from ucam.web.room import CATCH_UP_S, QUIET_S, WELCOME_AGAIN_S, WELCOMES_AT_ONCE, Room
from web.helpers import ANN, BOB, DISK, NOW_S, TILL, TOML, YARD, access, closed, sent_to, who

A, B, Y, T, D = 1, 2, 3, 4, 5
PEOPLE_AND_DEVICES = {
    A: who(f"{ANN}/a"),
    B: who(f"{BOB}/b"),
    Y: who(f"{YARD}/y", "device", "Yard"),
    T: who(f"{TILL}/t", "device", "Till"),
    D: who(f"{DISK}/d", "storage"),
}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """Everybody is in: Ann sees all, Bob the shop (till and disk)."""
    room = Room(access(tmp_path))
    for connection, newcomer in PEOPLE_AND_DEVICES.items():
        room.connect(connection, newcomer, NOW_S)
    return room


def only(messages: list[AnyMessage]) -> AnyMessage:
    assert len(messages) == 1, messages
    return messages[0]


def welcome_of(room: Room, connection: int, newcomer: Newcomer) -> Welcome:
    message = sent_to(room.connect(connection, newcomer, NOW_S), connection)[0]
    assert isinstance(message, Welcome)
    return message


def test_welcome_tells_what_one_may_see_and_no_more(room: Room) -> None:
    welcome = welcome_of(room, 9, who(f"{BOB}/second"))
    assert welcome.jid == f"{BOB}/second"
    assert [(p.jid, p.location) for p in welcome.roster] == [
        (f"{ANN}/a", "shop"),  # not "home", Ann's first: Bob doesn't know that there is one
        (f"{BOB}/b", "shop"),
        (f"{DISK}/d", "shop"),
        (f"{TILL}/t", "shop"),
    ]
    assert welcome.server_time == "2027-01-15T08:00:00.000000Z"
    (shop,) = welcome.locations
    assert (shop.name, shop.title, shop.timezone) == ("shop", "The shop", "Europe/Lisbon")
    assert shop.storage == DISK
    assert [(d.jid, d.name) for d in shop.devices] == [(TILL, "Till")]


def test_a_device_that_is_away_stands_with_its_last_name_and_time(tmp_path: Path) -> None:
    known = {JID.parse(YARD): Known("Yard", 1_700_000_000_000_000)}
    room = Room(access(tmp_path), known=known)
    home, shop = welcome_of(room, A, who(f"{ANN}/a")).locations
    assert (home.devices[0].name, home.devices[0].last_seen) == (
        "Yard",
        "2023-11-14T22:13:20.000000Z",
    )
    assert (shop.devices[0].name, shop.devices[0].last_seen) == ("till", None)
    room.connect(T, PEOPLE_AND_DEVICES[T], NOW_S)
    room.disconnect(T, NOW_S + 60)
    assert room.known[JID.parse(TILL)] == Known("Till", round((NOW_S + 60) * 1e6))


def test_coming_and_going_is_told_to_those_who_may_see_it(room: Room) -> None:
    effects = room.connect(9, who(f"{TILL}/t2", "device", "Till"), NOW_S)
    # The newer connection of a device replaces the older, also under another resource.
    assert closed(effects) == [(T, CLOSE_REPLACED)]
    for connection in (A, B, D):
        gone, come = sent_to(effects, connection)
        assert isinstance(gone, Disconnect)
        assert gone.jid == f"{TILL}/t"
        assert isinstance(come, Connect)
        assert (come.jid, come.name, come.role, come.location) == (
            f"{TILL}/t2",
            "Till",
            "device",
            "shop",
        )
    assert sent_to(effects, Y) == []
    assert room.disconnect(T, NOW_S) == []  # the old one's end is no news any more
    assert isinstance(only(sent_to(room.disconnect(9, NOW_S), A)), Disconnect)


def test_a_page_that_comes_back_under_its_resource_replaces_itself(room: Room) -> None:
    assert closed(room.connect(9, who(f"{ANN}/a"), NOW_S)) == [(A, CLOSE_REPLACED)]


def test_a_player_of_a_device_neither_replaces_nor_receives_for_it(room: Room) -> None:
    same = room.connect(8, who(f"{TILL}/t", "player"), NOW_S)
    assert closed(same) == [(8, CLOSE_REPLACED)]
    assert closed(room.connect(9, who(f"{TILL}/p", "player"), NOW_S)) == []
    effects = room.receive(A, RequestMedia(to=TILL, call="c", kind="live"), NOW_S)
    assert sent_to(effects, 9) == []
    assert len(sent_to(effects, T)) == 1


def test_a_player_that_came_first_gives_way(room: Room) -> None:
    room.disconnect(T, NOW_S)
    assert closed(room.connect(8, who(f"{TILL}/t", "player"), NOW_S)) == []
    assert closed(room.connect(T, who(f"{TILL}/t", "device"), NOW_S)) == [(8, CLOSE_REPLACED)]


def test_who_has_no_access_is_closed(room: Room) -> None:
    assert room.connect(9, who("eve@example.com/x"), NOW_S) != []
    assert closed(room.connect(9, who("eve@example.com/x"), NOW_S)) == [(9, CLOSE_NO_ACCESS)]
    assert closed(room.connect(9, who(f"{TILL}/x", "storage"), NOW_S)) == [(9, CLOSE_NO_ACCESS)]


def test_a_call_from_request_to_end(room: Room) -> None:
    viewer, device = f"{BOB}/b", f"{TILL}/t"
    steps: list[tuple[int, int, Any, str]] = [
        (B, T, RequestMedia(to=TILL, call="c", kind="live", from_="liar@x.y"), viewer),
        (T, B, OfferMedia(to=viewer, call="c", sdp="v=0"), device),
        (B, T, AnswerMedia(to=device, call="c", sdp="v=0"), viewer),
        (T, B, EndMedia(to=viewer, call="c", reason="too many viewers"), device),
    ]
    for sender, receiver, message, stamp in steps:
        effects = room.receive(sender, message, NOW_S)
        heard: Any = only(sent_to(effects, receiver))
        assert type(heard) is type(message)
        assert heard.from_ == stamp
        assert [c for c in (A, B, Y, T, D) if sent_to(effects, c)] == [receiver]


def test_a_request_carries_the_locations_that_both_see(room: Room) -> None:
    effects = room.receive(A, RequestMedia(to=DISK, call="c", kind="recordings"), NOW_S)
    request = only(sent_to(effects, D))
    assert isinstance(request, RequestMedia)
    assert request.locations == ("shop",)  # Ann's "home" is no affair of the shop's storage


@pytest.mark.parametrize("to", [YARD, f"{YARD}/y", "nobody@home.loc", "no jid", f"{BOB}/b", BOB])
def test_absent_hidden_and_oneself_are_answered_alike(room: Room, to: str) -> None:
    effects = room.receive(B, RequestMedia(to=to, call="c", kind="live"), NOW_S)
    error = Error(code="no-such-peer", text="nobody of that name is here", about="c")
    assert only(sent_to(effects, B)) == error
    assert len(effects) == 1


def test_a_camera_is_asked_to_blink_by_who_sees_it(room: Room) -> None:
    effects = room.receive(B, Locate(to=TILL, from_="liar@x.y"), NOW_S)
    assert only(sent_to(effects, T)) == Locate(to=f"{TILL}/t", from_=f"{BOB}/b")
    assert len(effects) == 1
    effects = room.receive(B, Locate(to=YARD), NOW_S)
    nobody = Error(code="no-such-peer", text="nobody of that name is here", about="Locate")
    assert [only(sent_to(effects, B)), len(effects)] == [nobody, 1]


def test_readiness_goes_to_viewers_and_waits_for_later_ones(room: Room) -> None:
    effects = room.receive(T, OfferMedia(sdp="v=0", from_="liar@x.y"), NOW_S)
    offer = OfferMedia(sdp="v=0", from_=f"{TILL}/t")
    assert [c for c in (A, B, Y, T, D) if sent_to(effects, c)] == [A, B]
    assert only(sent_to(effects, A)) == offer
    welcome, replayed = sent_to(room.connect(9, who(f"{BOB}/late"), NOW_S), 9)
    assert isinstance(welcome, Welcome)
    assert replayed == offer
    assert [p.jid for p in welcome.roster if p.ready] == [f"{TILL}/t"]
    # A device has nothing to do with another's readiness.
    assert len(sent_to(room.connect(10, who(f"{DISK}/d2", "storage"), NOW_S), 10)) == 1


def test_status_is_kept_for_who_comes_later(room: Room) -> None:
    fields = {"recording": "stored", "what-comes-next-year": [1]}
    effects = room.receive(T, Status(fields=fields, from_="liar@x.y"), NOW_S)
    assert [c for c in (A, B, Y, T, D) if sent_to(effects, c)] == [A, B, D]
    assert only(sent_to(effects, B)) == Status(fields=fields, from_=f"{TILL}/t")
    roster = {p.jid: p.status for p in welcome_of(room, 9, who(f"{BOB}/late")).roster}
    assert roster[f"{TILL}/t"] == fields
    assert roster[f"{DISK}/d"] is None


def test_a_storages_status_reaches_its_cameras(room: Room) -> None:
    effects = room.receive(D, Status(fields={"storage": {"url": "rtsps://x:1"}}), NOW_S)
    assert [c for c in (A, B, Y, T, D) if sent_to(effects, c)] == [A, B, T]


def test_chat(room: Room) -> None:
    effects = room.receive(B, Chat(text="hello", from_="liar@x.y", time="never"), NOW_S)
    chat = Chat(text="hello", from_=f"{BOB}/b", time="2027-01-15T08:00:00.000000Z")
    assert [only(sent_to(effects, c)) for c in (A, B, T, D)] == [chat] * 4
    assert sent_to(effects, Y) == []
    room.connect(9, who(f"{ANN}/phone"), NOW_S)
    effects = room.receive(B, Chat(text="just you", to=ANN), NOW_S)
    assert [c for c in (A, B, T, D, 9) if sent_to(effects, c)] == [A, B, 9]
    effects = room.receive(B, Chat(text="who?", to=YARD), NOW_S)
    assert isinstance(only(sent_to(effects, B)), Error)


WRONG: list[tuple[int, AnyMessage]] = [
    (T, RequestMedia(to=DISK, call="c", kind="recordings")),
    (A, RequestMedia(to=DISK, call="c", kind="live")),
    (A, RequestMedia(to=TILL, call="c", kind="recordings")),
    (A, RequestMedia(to=TILL, call="", kind="live")),
    (A, RequestMedia(to=TILL, call="c" * 129, kind="live")),
    (A, OfferMedia(sdp="v=0")),
    (A, OfferMedia(to=f"{BOB}/b", call="c", sdp="v=0")),
    (T, OfferMedia(to=f"{DISK}/d", call="c", sdp="v=0")),
    (T, OfferMedia(to=f"{ANN}/a", call="c")),
    (T, OfferMedia(to=f"{ANN}/a", sdp="v=0")),
    (T, OfferMedia()),
    (A, AnswerMedia(to=f"{BOB}/b", call="c", sdp="v=0")),
    (A, AnswerMedia(to=TILL, call="c")),
    (A, EndMedia(to=f"{BOB}/b", call="c")),
    (A, Status(fields={})),
    (A, Locate(to=DISK)),
    (T, Locate(to=DISK)),
    (A, Chat(text="  ")),
    (A, Chat(text="x" * 2001)),
    (A, Connect(jid=f"{BOB}/b", name="b", role="user", location=None)),
    (A, Error(code="no-such-peer", text="")),
]


@pytest.mark.parametrize(("sender", "message"), WRONG)
def test_what_makes_no_sense_is_refused_and_carried_nowhere(
    room: Room, sender: int, message: AnyMessage
) -> None:
    effects = room.receive(sender, message, NOW_S)
    error = only(sent_to(effects, sender))
    assert isinstance(error, Error)
    assert error.code == "bad-message"
    assert len(effects) == 1


def test_texts_that_are_no_messages(room: Room) -> None:
    error = only(sent_to(room.receive_text(A, '{"type":"RequestMedia"}', NOW_S), A))
    assert isinstance(error, Error)
    assert (error.code, error.about) == ("bad-message", "RequestMedia")
    for text in ("", "[]", "{", '{"type":"Nonsense"}', '{"type":"Chat","text":"\\ud800"}'):
        error = only(sent_to(room.receive_text(A, text, NOW_S), A))
        assert isinstance(error, Error)
        assert error.code == "bad-message"


def test_sizes_are_limited(room: Room) -> None:
    # Counted in bytes, not characters.
    text = '{"type":"Chat","text":"' + "é" * (MAX_MESSAGE_BYTES // 2) + '"}'
    error = only(sent_to(room.receive_text(A, text, NOW_S), A))
    assert isinstance(error, Error)
    assert error.code == "too-large"
    status = '{"type":"Status","x":"' + "x" * 9000 + '"}'
    error = only(sent_to(room.receive_text(T, status, NOW_S), T))
    assert isinstance(error, Error)
    assert (error.code, error.about) == ("too-large", "Status")


def test_rate_is_limited_for_each_connection_alone(room: Room) -> None:
    text = '{"type":"Chat","text":"spam"}'
    carried = sum(bool(sent_to(room.receive_text(B, text, NOW_S), A)) for _ in range(500))
    assert carried == MESSAGE_BURST
    assert sent_to(room.receive_text(A, text, NOW_S), B) != []
    # The flood is told once a second, not answered by one of our own.
    told = [m for _ in range(500) for m in sent_to(room.receive_text(B, text, NOW_S + 0.5), B)]
    assert [m for m in told if isinstance(m, Error)] == []
    for _ in range(100):
        told += sent_to(room.receive_text(B, text, NOW_S + 2), B)
    assert [m.code for m in told if isinstance(m, Error)] == ["too-fast"]


def test_a_connection_that_is_unknown_is_heard_by_nobody(room: Room) -> None:
    assert room.receive_text(99, '{"type":"Chat","text":"x"}', NOW_S) == []
    assert room.receive(99, Chat(text="x"), NOW_S) == []


def test_withdrawn_access_closes_and_is_told(room: Room, tmp_path: Path) -> None:
    text = TOML.replace(', "bob@example.com"', "").replace('"till@shop.loc"', "")
    effects = room.change_access(access(tmp_path, text), NOW_S)
    assert sorted(closed(effects)) == [(B, CLOSE_NO_ACCESS), (T, CLOSE_NO_ACCESS)]
    gone = [m.jid for m in sent_to(effects, A) if isinstance(m, Disconnect)]
    assert sorted(gone) == [f"{BOB}/b", f"{TILL}/t"]
    # What Ann may see of the configuration has changed too.
    (welcome,) = [m for m in sent_to(effects, A) if isinstance(m, Welcome)]
    assert [place.devices for place in welcome.locations if place.name == "shop"] == [()]
    assert room.receive(B, Chat(text="still here?"), NOW_S) == []


def test_a_location_taken_away_hides_both_ways(room: Room, tmp_path: Path) -> None:
    text = TOML.replace('title = "The shop"', 'users = ["bob@example.com"]')
    effects = room.change_access(access(tmp_path, text), NOW_S)
    assert closed(effects) == []
    assert f"{ANN}/a" in [m.jid for m in sent_to(effects, T) if isinstance(m, Disconnect)]
    assert f"{TILL}/t" in [m.jid for m in sent_to(effects, A) if isinstance(m, Disconnect)]
    assert sent_to(effects, Y) == []
    answer = room.receive(A, RequestMedia(to=TILL, call="c", kind="live"), NOW_S)
    assert sent_to(answer, T) == []


def test_a_location_given_shows_what_is_ready(room: Room, tmp_path: Path) -> None:
    room.receive(Y, OfferMedia(sdp="v=0"), NOW_S)
    text = TOML.replace('users = ["ann@example.com"]\n', "")
    effects = room.change_access(access(tmp_path, text), NOW_S)
    welcome, offer = sent_to(effects, B)
    assert isinstance(welcome, Welcome)
    assert f"{YARD}/y" in [p.jid for p in welcome.roster]
    assert isinstance(offer, OfferMedia)


def test_a_reload_that_changes_nothing_tells_nothing(room: Room, tmp_path: Path) -> None:
    assert room.change_access(access(tmp_path), NOW_S) == []


def test_turn_credentials_are_renewed_for_who_stays(tmp_path: Path) -> None:
    def ice(jid: JID, now_s: float) -> tuple[IceServer, ...]:
        return (IceServer(urls=("turn:t",), username=f"{now_s:.0f}:{jid}", credential="x"),)

    room = Room(access(tmp_path), ice)
    room.connect(A, who(f"{ANN}/a"), NOW_S)
    assert room.tick(NOW_S + WELCOME_AGAIN_S - 1) == []
    later = NOW_S + WELCOME_AGAIN_S
    welcome = only(sent_to(room.tick(later), A))
    assert isinstance(welcome, Welcome)
    assert welcome.ice_servers[0].username == f"{later:.0f}:{ANN}"
    assert room.tick(later + 1) == []


def test_in_a_storm_of_people_one_welcome_tells_all(tmp_path: Path) -> None:
    room = Room(access(tmp_path))
    room.connect(A, who(f"{ANN}/a"), NOW_S)
    told = 0
    for number in range(10 * int(PRESENCE_BURST)):
        effects = room.connect(100 + number, who(f"{BOB}/b{number}"), NOW_S)
        told += len(sent_to(effects, A))
    assert told == PRESENCE_BURST
    # Devices are what everybody is here for: each is told.
    device = room.connect(T, who(f"{TILL}/t", "device"), NOW_S)
    assert [type(m) for m in sent_to(device, A)] == [Connect]
    # Who is behind hears nothing of people until it is quiet; then all at once.
    assert sent_to(room.disconnect(100, NOW_S), A) == []
    assert room.catch_up(NOW_S + QUIET_S / 2) == []
    welcomes = []
    while room.anybody_behind:
        effects = room.catch_up(NOW_S + QUIET_S)
        assert len([e for e in effects if isinstance(e, Send)]) <= 2 * WELCOMES_AT_ONCE
        welcomes += sent_to(effects, A)
    assert isinstance(welcomes[0], Welcome)
    assert len(welcomes[0].roster) == 10 * PRESENCE_BURST
    assert room.catch_up(NOW_S + 100) == []
    assert [type(m) for m in sent_to(room.disconnect(101, NOW_S + 100), A)] == [Disconnect]


def test_a_storm_that_does_not_end_keeps_nobody_waiting(tmp_path: Path) -> None:
    room = Room(access(tmp_path))
    room.connect(A, who(f"{ANN}/a"), NOW_S)
    for number in range(400):
        now_s = NOW_S + number / 20
        room.connect(100 + number, who(f"{BOB}/b{number}"), now_s)
        if sent_to(room.catch_up(now_s), A):
            assert now_s - NOW_S <= CATCH_UP_S + 1
            return
    pytest.fail("told nothing for 20 s")


def test_one_name_has_only_so_many_connections(tmp_path: Path) -> None:
    room = Room(access(tmp_path), max_connections_each=3)
    for number in range(3):
        assert closed(room.connect(number, who(f"{BOB}/b{number}"), NOW_S)) == []
    assert closed(room.connect(3, who(f"{BOB}/b3"), NOW_S)) == [(3, CLOSE_TOO_MANY)]
    assert closed(room.connect(4, who(f"{ANN}/a"), NOW_S)) == []
    room.disconnect(0, NOW_S)
    assert closed(room.connect(5, who(f"{BOB}/b5"), NOW_S)) == []


def test_ice_servers_that_change_are_told_to_everybody(tmp_path: Path) -> None:
    servers = [IceServer(urls=("stun:old",))]
    room = Room(access(tmp_path), lambda _jid, _now_s: tuple(servers))
    for connection, newcomer in PEOPLE_AND_DEVICES.items():
        room.connect(connection, newcomer, NOW_S)
    servers[:] = [IceServer(urls=("stun:new",))]
    room.welcome_all_again()
    effects = room.catch_up(NOW_S)
    for connection in PEOPLE_AND_DEVICES:
        (welcome,) = (m for m in sent_to(effects, connection) if isinstance(m, Welcome))
        assert welcome.ice_servers == tuple(servers)


def test_the_history_stands_in_the_welcome_of_those_who_may_hear_it(room: Room) -> None:
    room.receive(A, Chat(text="to all"), NOW_S)
    room.receive(A, Chat(text="to Bob alone", to=BOB), NOW_S)
    assert [line.text for line in welcome_of(room, 9, who(f"{BOB}/later")).chat] == ["to all"]
    assert welcome_of(room, 10, who(f"{TILL}/later", "device")).chat == ()
