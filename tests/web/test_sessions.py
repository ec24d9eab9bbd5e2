from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.web.access import Party
from ucam.web.clients import Client
from ucam.web.issuer import Issued, Issuer
from ucam.web.keys import KeyStore
from ucam.web.sessions import GRACE_S, SEEN_S, LinkError, Revoked, SessionError, Sessions
from ucam.web.state_sqlite import SqliteState
from web.helpers import ANN, NOW_S, TILL, TOML, load_config

DAY_S = 86400.0


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[Sessions]:
    config = load_config(tmp_path)
    state = SqliteState(config.http.data_dir)
    yield Sessions(state, Issuer(KeyStore(config.http.data_dir, 0), config))
    await state.close()


def change_config(sessions: Sessions, tmp_path: Path, text: str) -> None:
    config = load_config(tmp_path, text=text)
    sessions.issuer = Issuer(KeyStore(config.http.data_dir, 0), config)


async def log_in(sessions: Sessions, now_s: float = NOW_S) -> Issued:
    return await sessions.redeem_link(await sessions.create_link(JID.parse(ANN), now_s), now_s)


def device(sessions: Sessions, now_s: float = NOW_S, validity_s: float | None = None) -> Issued:
    return sessions.issuer.first_token(JID.parse(TILL), "device", now_s, validity_s)


async def test_a_link_opens_once(sessions: Sessions) -> None:
    token = await sessions.create_link(JID.parse(ANN), NOW_S)
    assert len(token) >= 43  # 256 bits
    claims = (await sessions.redeem_link(token, NOW_S + 599)).claims
    assert (claims.sub, claims.role, claims.loc) == (ANN, "user", ("home", "shop"))
    assert claims.sid
    assert claims.exp == NOW_S + 599 + 7200
    for again in (token, "", "x" * 43):
        with pytest.raises(LinkError):
            await sessions.redeem_link(again, NOW_S + 599)


async def test_a_link_expires(sessions: Sessions) -> None:
    token = await sessions.create_link(JID.parse(ANN), NOW_S)
    with pytest.raises(LinkError):
        await sessions.redeem_link(token, NOW_S + 600)
    with pytest.raises(LinkError):
        await sessions.redeem_link(token, NOW_S)


async def test_a_link_of_somebody_who_was_removed_is_used_up(
    sessions: Sessions, tmp_path: Path
) -> None:
    token = await sessions.create_link(JID.parse(ANN), NOW_S)
    change_config(
        sessions,
        tmp_path,
        TOML.replace('"ann@example.com", ', "").replace('users = ["ann@example.com"]', ""),
    )
    with pytest.raises(LinkError):
        await sessions.redeem_link(token, NOW_S)
    change_config(sessions, tmp_path, TOML)
    with pytest.raises(LinkError):
        await sessions.redeem_link(token, NOW_S)


async def test_nothing_secret_is_on_the_disk(sessions: Sessions, tmp_path: Path) -> None:
    link = await sessions.create_link(JID.parse(ANN), NOW_S)
    token = (await sessions.recycle((await log_in(sessions)).claims, NOW_S)).token
    for path in (tmp_path / "data").glob("web.sqlite*"):
        data = path.read_bytes()
        assert link.encode() not in data
        assert token.encode() not in data
        assert path.stat().st_mode & 0o077 == 0


async def test_recycling_repeats_its_answer_and_then_ends_the_session(sessions: Sessions) -> None:
    first = await log_in(sessions)
    second = await sessions.recycle(first.claims, NOW_S + 100)
    assert second.claims.jti != first.claims.jti
    assert second.claims.sid == first.claims.sid
    assert second.claims.exp == NOW_S + 100 + 7200
    assert await sessions.recycle(first.claims, NOW_S + 100 + GRACE_S) == second
    with pytest.raises(SessionError) as error:
        await sessions.recycle(first.claims, NOW_S + 100 + GRACE_S + 0.1)
    assert error.value.ended == first.claims.sid
    for claims in (first.claims, second.claims):
        with pytest.raises(SessionError) as over:
            await sessions.recycle(claims, NOW_S + 111)
        assert over.value.ended is None
        with pytest.raises(SessionError):
            await sessions.enter(claims, NOW_S + 111)
    assert await sessions.alive_until(second.claims, NOW_S + 111) == 0


async def test_a_token_older_than_the_previous_ends_the_session_at_once(sessions: Sessions) -> None:
    first = await log_in(sessions)
    second = await sessions.recycle(first.claims, NOW_S + 1)
    third = await sessions.recycle(second.claims, NOW_S + 2)
    with pytest.raises(SessionError) as error:
        await sessions.recycle(first.claims, NOW_S + 3)
    assert error.value.ended == first.claims.sid
    with pytest.raises(SessionError):
        await sessions.enter(third.claims, NOW_S + 3)


async def test_an_old_token_does_not_come_in_but_ends_nothing_either(sessions: Sessions) -> None:
    first = await log_in(sessions)
    second = await sessions.recycle(first.claims, NOW_S)
    await sessions.enter(first.claims, NOW_S + GRACE_S)
    with pytest.raises(SessionError):
        await sessions.enter(first.claims, NOW_S + GRACE_S + 1)
    await sessions.enter(second.claims, NOW_S + GRACE_S + 2)


async def test_a_session_reaches_its_lifetime(sessions: Sessions) -> None:
    claims, now_s = (await log_in(sessions)).claims, NOW_S
    while now_s + 3600 < NOW_S + 30 * DAY_S:
        now_s += 3600
        claims = (await sessions.recycle(claims, now_s)).claims
        assert claims.exp <= NOW_S + 30 * DAY_S
    assert claims.exp == NOW_S + 30 * DAY_S
    with pytest.raises(SessionError):
        await sessions.recycle(claims, NOW_S + 30 * DAY_S)


async def test_logging_out(sessions: Sessions) -> None:
    first, other = await log_in(sessions), await log_in(sessions)
    assert await sessions.end(first.claims, NOW_S) == first.claims.sid
    with pytest.raises(SessionError):
        await sessions.recycle(first.claims, NOW_S)
    await sessions.recycle(other.claims, NOW_S)


async def test_the_successor_says_what_the_configuration_says_now(
    sessions: Sessions, tmp_path: Path
) -> None:
    claims = (await log_in(sessions)).claims
    text = TOML.replace('users = ["ann@example.com"]', 'users = ["bob@example.com"]')
    change_config(sessions, tmp_path, text)
    assert (await sessions.recycle(claims, NOW_S)).claims.loc == ("shop",)
    change_config(sessions, tmp_path, text.replace('"ann@example.com", ', ""))
    with pytest.raises(SessionError):
        await sessions.recycle(claims, NOW_S)


async def test_a_devices_token_begins_a_session(sessions: Sessions) -> None:
    first = device(sessions)
    assert first.claims.sid is None
    await sessions.enter(first.claims, NOW_S)
    second = await sessions.recycle(first.claims, NOW_S)
    assert second.claims.sid == first.claims.jti
    third = await sessions.recycle(second.claims, NOW_S + 15 * DAY_S)
    await sessions.enter(third.claims, NOW_S + 15 * DAY_S)
    # A stolen copy of the first ends it, as with people.
    with pytest.raises(SessionError) as error:
        await sessions.recycle(first.claims, NOW_S + 16 * DAY_S)
    assert error.value.ended == first.claims.jti


async def test_a_device_that_lost_the_answer_gets_it_again_after_hours(sessions: Sessions) -> None:
    first = device(sessions)
    second = await sessions.recycle(first.claims, NOW_S)
    later_s = NOW_S + 12 * 3600
    await sessions.enter(first.claims, later_s)
    assert await sessions.recycle(first.claims, later_s) == second
    # But once somebody came with the successor, the answer was not lost.
    await sessions.enter(second.claims, later_s)
    with pytest.raises(SessionError):
        await sessions.enter(first.claims, later_s)
    with pytest.raises(SessionError) as error:
        await sessions.recycle(first.claims, later_s)
    assert error.value.ended


async def test_what_has_ended_stays_ended_as_long_as_a_token_of_it_lives(
    sessions: Sessions,
) -> None:
    """A device's first token may outlive all its successors; it must not begin a new session."""
    first = device(sessions, validity_s=300 * DAY_S)
    second = await sessions.recycle(first.claims, NOW_S)
    assert second.claims.exp < first.claims.exp
    await sessions.end(second.claims, NOW_S)
    later_s = NOW_S + 200 * DAY_S
    await log_in(sessions, later_s)  # tidies up
    for use in (sessions.recycle, sessions.enter):
        with pytest.raises(SessionError):
            await use(first.claims, later_s)


@pytest.mark.parametrize(("sub", "role"), [("disk@shop.loc", "device"), (TILL, "storage")])
async def test_a_session_is_of_one_name_and_role(sessions: Sessions, sub: str, role: Role) -> None:
    claims = (await sessions.recycle(device(sessions).claims, NOW_S)).claims
    with pytest.raises(SessionError):
        await sessions.recycle(msgspec.structs.replace(claims, sub=sub, role=role), NOW_S)


async def test_sessions_survive_a_restart(sessions: Sessions, tmp_path: Path) -> None:
    claims = (await log_in(sessions)).claims
    state = SqliteState(tmp_path / "data")
    sessions_again = Sessions(state, sessions.issuer)
    await sessions_again.recycle(claims, NOW_S)
    await state.close()


async def test_ending_lasts_no_longer_than_it_must(sessions: Sessions, tmp_path: Path) -> None:
    claims = (await log_in(sessions)).claims
    assert await sessions.alive_until(claims, NOW_S) == claims.exp
    await log_in(sessions, NOW_S + 3 * DAY_S)
    assert await sessions.alive_until(claims, NOW_S) == 0


async def test_what_is_revoked(sessions: Sessions, tmp_path: Path) -> None:
    ann, camera = await log_in(sessions), device(sessions)
    await sessions.keep(camera.claims, "hand", NOW_S)
    assert await sessions.revoked(NOW_S) == Revoked()
    # A location is taken away: the token that names it is refused elsewhere, the session goes on.
    less = TOML.replace('users = ["ann@example.com"]', 'users = ["bob@example.com"]')
    change_config(sessions, tmp_path, less)
    assert ann.claims.sid is not None
    assert await sessions.revoked(NOW_S) == Revoked(frozenset(), frozenset({ann.claims.sid}))
    successor = await sessions.recycle(ann.claims, NOW_S + 1)
    assert successor.claims.loc == ("shop",)
    stale = frozenset({ann.claims.jti})
    assert await sessions.revoked(NOW_S + 1) == Revoked(frozenset(), stale)
    # The device is taken out of the configuration, and comes back.
    change_config(sessions, tmp_path, less.replace(TILL, "other@shop.loc"))
    gone = frozenset({camera.claims.jti})
    assert await sessions.revoked(NOW_S + 2) == Revoked(gone, gone | stale)
    change_config(sessions, tmp_path, less)
    assert await sessions.revoked(NOW_S + 2) == Revoked(frozenset(), stale)
    # It is revoked for good, until its last token has expired.
    assert await sessions.end_by_id(camera.claims.jti, NOW_S + 3) is not None
    assert await sessions.end_by_id(camera.claims.jti, NOW_S + 3) is None
    assert (await sessions.revoked(NOW_S + 3)).over == gone
    assert await sessions.revoked(camera.claims.exp + 1) == Revoked()
    sid = successor.claims.sid or ""
    for other in (Party(JID(TILL), "device"), Party(JID(ANN), "player")):
        assert await sessions.end_by_id(sid, NOW_S, other) is None
    assert await sessions.end_by_id(sid, NOW_S, Party(JID(ANN), "user")) is not None


async def test_lists(sessions: Sessions) -> None:
    ann = await log_in(sessions)
    await sessions.keep(device(sessions).claims, "hand", NOW_S)
    living = await sessions.living(NOW_S)
    assert {(s.jid, s.made) for s in living.values()} == {(ANN, "login"), (TILL, "hand")}
    await sessions.end(ann.claims, NOW_S)
    assert {s.jid for s in (await sessions.living(NOW_S)).values()} == {TILL}
    assert await sessions.living(NOW_S + 40 * DAY_S) == {}


async def test_where_a_session_is_used(sessions: Sessions) -> None:
    ann = (await log_in(sessions)).claims
    assert ann.sid is not None
    phone, desk = Client("192.0.2.0/24", "Safari on iPhone"), Client("10.0.0.0/24", "")
    await sessions.enter(ann, NOW_S, phone)
    await sessions.enter(ann, NOW_S + SEEN_S - 1, desk)  # too soon to be worth a write
    found = (await sessions.living(NOW_S))[ann.sid]
    assert (found.seen_s, found.agent, found.network) == (NOW_S, phone.agent, phone.network)
    await sessions.enter(ann, NOW_S + SEEN_S, desk)
    found = (await sessions.living(NOW_S))[ann.sid]
    # Who says nothing of itself is still taken for what it was.
    assert (found.agent, found.network) == (phone.agent, desk.network)
