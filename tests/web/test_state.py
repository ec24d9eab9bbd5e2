"""What every state must do, alone and over processes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from support.redis import RedisServer, redis_server
from ucam.base.jid import JID
from ucam.base.service import Fault
from ucam.web.members import Known
from ucam.web.redis_link import connect
from ucam.web.remembered import read_devices, remember_devices
from ucam.web.sessions import Session
from ucam.web.state import DROP, KEEP, Decision, Limit, Put, State
from ucam.web.state_redis import RedisState
from ucam.web.state_sqlite import SqliteState

YARD, TILL = JID.parse("yard@home.loc"), JID.parse("till@shop.loc")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
async def states(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[State, State]]:
    """Two connections to one state."""
    one: State
    other: State
    if request.param == "sqlite":
        one, other = SqliteState(tmp_path), SqliteState(tmp_path)
    else:
        url = request.getfixturevalue("redis").url
        one = RedisState(client := connect(url))
        await client.flushall()
        other = RedisState(connect(url))
    yield one, other
    await one.close()
    await other.close()


async def test_a_record_is_there_until_it_ends(states: tuple[State, State]) -> None:
    one, other = states
    await one.put("links", "a", Put(b"1", 100), 0)
    await one.put("links", "b", Put(b"2", None), 0)
    await one.put("codes", "a", Put(b"3", 50), 0)
    assert await other.get("links", "a", 99.9) == b"1"
    assert await other.get("links", "a", 100) is None
    assert await other.get("links", "b", 1e9) == b"2"
    assert await other.get("codes", "a", 49) == b"3"
    assert await other.get("codes", "b", 49) is None
    await other.put("links", "a", Put(b"4", 200), 0)
    assert await one.get("links", "a", 150) == b"4"


async def test_a_record_is_taken_once(states: tuple[State, State]) -> None:
    for n in range(20):
        await states[0].put("links", str(n), Put(b"x", 100), 0)
        tries = (state.take("links", str(n), 50) for state in states * 4)
        assert sorted(await asyncio.gather(*tries), key=str) == [*[None] * 7, b"x"]
    await states[0].put("links", "late", Put(b"x", 100), 0)
    assert await states[0].take("links", "late", 100) is None


async def test_changes_are_atomic(states: tuple[State, State]) -> None:
    def add(old: bytes | None) -> tuple[Decision, int]:
        count = int(old or b"0") + 1
        return Put(str(count).encode(), None), count

    answers = await asyncio.gather(
        *(state.change("counts", "a", add, 0) for _ in range(50) for state in states)
    )
    assert sorted(answers) == list(range(1, 101))


async def test_a_rule_may_leave_or_drop_a_record(states: tuple[State, State]) -> None:
    one, _ = states
    await one.put("notes", "a", Put(b"1", None, "ann"), 0)
    assert await one.change("notes", "a", lambda old: (KEEP, old), 0) == b"1"
    assert await one.change("notes", "a", lambda old: (DROP, old), 0) == b"1"
    assert await one.get("notes", "a", 0) is None
    assert await one.owned("notes", "ann", 0) == {}
    assert await one.change("notes", "a", lambda old: (DROP, old), 0) is None


async def test_a_rule_that_fails_changes_nothing(states: tuple[State, State]) -> None:
    def fail(_old: bytes | None) -> tuple[Decision, None]:
        raise LookupError

    await states[0].put("notes", "a", Put(b"1", None), 0)
    with pytest.raises(LookupError):
        await states[0].change("notes", "a", fail, 0)
    assert await states[1].get("notes", "a", 0) == b"1"


async def test_an_owner_has_a_list(states: tuple[State, State]) -> None:
    one, other = states
    await one.put("sessions", "a", Put(b"1", 100, "ann"), 0)
    await one.put("sessions", "b", Put(b"2", 200, "ann"), 0)
    await one.put("sessions", "c", Put(b"3", 200, "bob"), 0)
    await one.put("sessions", "d", Put(b"4", 200), 0)
    await one.put("notes", "e", Put(b"5", 200, "ann"), 0)
    assert await other.owned("sessions", "ann", 0) == {"a": b"1", "b": b"2"}
    assert await other.owned("sessions", "ann", 100) == {"b": b"2"}
    await other.take("sessions", "b", 0)
    assert await one.owned("sessions", "ann", 0) == {"a": b"1"}
    assert await one.owned("sessions", "eve", 0) == {}


async def test_limits_hold_together_or_count_nothing(states: tuple[State, State]) -> None:
    each, overall = Limit("each", 3, 900), Limit("all", 5, 900)
    state = states[0]

    async def take(who: str, now_s: float) -> bool:
        return await state.allow(((each, who), (overall, "")), now_s)

    assert [await take("ann", t) for t in range(4)] == [True, True, True, False]
    assert [await take("bob", 10) for _ in range(3)] == [True, True, False]
    assert not await take("cem", 899)
    assert await take("ann", 900)
    assert not await take("ann", 900)


async def test_arrivals_are_numbered_upwards(states: tuple[State, State]) -> None:
    numbers = [await states[0].arrive() for _ in range(5)]
    assert numbers == sorted(set(numbers))


async def test_devices_are_remembered_as_seen_last(states: tuple[State, State]) -> None:
    one, other = states
    await remember_devices(one, {YARD: Known("Yard", 1), TILL: Known("Till", 2)})
    await remember_devices(other, {YARD: Known("Back yard", 3), TILL: Known("Old till", 1)})
    assert await read_devices(one) == {YARD: Known("Back yard", 3), TILL: Known("Till", 2)}


# SQLite alone


async def test_records_survive_a_restart_and_ended_ones_go(tmp_path: Path) -> None:
    state = SqliteState(tmp_path)
    await state.put("notes", "a", Put(b"1", None), 0)
    await state.put("notes", "b", Put(b"2", 10), 0)
    first = await state.arrive()
    await state.close()
    state = SqliteState(tmp_path)
    assert await state.get("notes", "a", 5) == b"1"
    assert await state.arrive() > first
    await state.put("notes", "c", Put(b"3", 30), 20)
    await state.close()
    database = sqlite3.connect(tmp_path / "web.sqlite")
    keys = [row[0] for row in database.execute("SELECT key FROM records ORDER BY key")]
    database.close()
    assert keys == ["a", "c"]


async def test_a_database_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "web.sqlite")
    database.executescript("""
        CREATE TABLE login_links (
            hash BLOB PRIMARY KEY, jid TEXT NOT NULL, expires_s REAL NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE sessions (
            sid TEXT PRIMARY KEY, jid TEXT NOT NULL, role TEXT NOT NULL, ends_s REAL,
            current_jti TEXT NOT NULL, current_iat INTEGER NOT NULL, current_exp INTEGER NOT NULL,
            latest_exp INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,
            current_used INTEGER NOT NULL, previous_jti TEXT, rotated_s REAL
        ) WITHOUT ROWID;
        CREATE TABLE devices (
            jid TEXT PRIMARY KEY, name TEXT NOT NULL, last_seen_us INTEGER NOT NULL
        ) WITHOUT ROWID;
        INSERT INTO sessions VALUES ('s', 'yard@home.loc', 'device', NULL, 'j', 1, 50, 60, 0, 1,
                                     'i', 2.5);
        INSERT INTO devices VALUES ('yard@home.loc', 'Yard', 7);
        PRAGMA user_version=1;
    """)
    database.close()
    state = SqliteState(tmp_path)
    record = (await state.owned("sessions", "", 59))["s"]
    assert msgspec.json.decode(record, type=Session) == Session(
        jid="yard@home.loc",
        role="device",
        ends_s=None,
        current_jti="j",
        current_iat=1,
        current_exp=50,
        latest_exp=60,
        current_used=True,
        previous_jti="i",
        rotated_s=2.5,
    )
    assert await read_devices(state) == {YARD: Known("Yard", 7)}
    await state.close()


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await SqliteState(tmp_path).close()
    database = sqlite3.connect(tmp_path / "web.sqlite")
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(Fault, match="newer"):
        SqliteState(tmp_path)


async def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "web.sqlite").write_bytes(b"something else " * 1000)
    with pytest.raises(Fault, match=r"web\.sqlite"):
        SqliteState(tmp_path)
