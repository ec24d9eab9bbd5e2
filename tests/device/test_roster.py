from ucam.device.roster import GRACE_S, Roster
from ucam.protocol.messages import Connect, Disconnect, Peer, Welcome


def welcome(*jids: str) -> Welcome:
    roster = tuple(Peer(jid=jid, name="x", role="user", location="shop") for jid in jids)
    return Welcome(
        jid="cam@shop.loc/c", roster=roster, ice_servers=(), server_time="", locations=()
    )


def connect(jid: str) -> Connect:
    return Connect(jid=jid, name="x", role="user", location="shop")


def test_who_does_not_come_back_is_missed_after_a_while() -> None:
    roster = Roster()
    roster.welcome(welcome("ann@x.loc/a"), 100)
    assert roster.missed(["ann@x.loc/a", "bob@x.loc/b"], 100 + GRACE_S - 0.1) == []
    assert roster.missed(["ann@x.loc/a", "bob@x.loc/b"], 100 + GRACE_S) == ["bob@x.loc/b"]


def test_who_comes_back_in_time_is_not_missed() -> None:
    roster = Roster()
    roster.welcome(welcome(), 100)
    roster.change(connect("ann@x.loc/a"))
    assert roster.missed(["ann@x.loc/a"], 200) == []
    roster.change(Disconnect(jid="ann@x.loc/a", name="x", role="user", location="shop"))
    assert roster.missed(["ann@x.loc/a"], 200) == ["ann@x.loc/a"]


def test_nobody_is_missed_while_the_room_is_away() -> None:
    roster = Roster()
    assert roster.missed(["ann@x.loc/a"], 1e9) == []
    roster.welcome(welcome(), 100)
    roster.away()
    assert roster.missed(["ann@x.loc/a"], 1e9) == []
    roster.welcome(welcome(), 2e9)
    assert roster.missed(["ann@x.loc/a"], 2e9 + 1) == []
    assert roster.missed(["ann@x.loc/a"], 2e9 + GRACE_S) == ["ann@x.loc/a"]


def test_who_speaks_is_here() -> None:
    roster = Roster()
    roster.welcome(welcome(), 100)
    roster.heard("ann@x.loc/a")
    roster.heard(None)
    assert roster.missed(["ann@x.loc/a"], 200) == []
