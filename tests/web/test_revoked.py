import asyncio
from pathlib import Path

import pytest

from ucam.base.jid import JID
from ucam.web import revoked as module
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.revoked import Revocations
from ucam.web.sessions import Sessions
from ucam.web.state import StateAway
from ucam.web.state_sqlite import SqliteState
from web.helpers import TILL, load_config


async def test_what_another_process_revokes_or_rotates_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    config = load_config(tmp_path)
    state, keys = SqliteState(config.http.data_dir), KeyStore(config.http.data_dir, 0)
    other_keys = KeyStore(config.http.data_dir, 0)
    sessions, other = (Sessions(state, Issuer(keys, config)) for _ in range(2))
    now_s = 1_900_000_000.0
    issued = other.issuer.first_token(JID(TILL), "device", now_s)
    await other.keep(issued.claims, "hand", now_s)
    ended: list[str] = []
    told: list[None] = []
    watching = asyncio.ensure_future(
        Revocations(sessions, keys).watch(ended.append, lambda: told.append(None))
    )

    async def until(count: int) -> None:
        async with asyncio.timeout(20):
            while len(told) < count:
                await asyncio.sleep(0.01)

    try:
        await asyncio.sleep(0.1)
        assert (ended, told) == ([], [])
        assert await other.end_by_id(issued.claims.jti, now_s) is not None
        await until(2)  # and once more, for who was answered by a process that hadn't looked
        assert ended == [issued.claims.jti]
        other_keys.rotate(1)
        await until(4)
        assert ended == [issued.claims.jti]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await state.close()


async def test_while_the_state_is_away_what_was_known_stays(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    state, keys = SqliteState(config.http.data_dir), KeyStore(config.http.data_dir, 0)
    sessions = Sessions(state, Issuer(keys, config))
    revocations = Revocations(sessions, keys)
    now_s = 1_900_000_000.0
    issued = sessions.issuer.first_token(JID(TILL), "device", now_s)
    await sessions.keep(issued.claims, "hand", now_s)
    await sessions.end_by_id(issued.claims.jti, now_s)
    known = await revocations.now()
    assert issued.claims.jti in known.refused

    async def away(_now_s: float) -> None:
        raise StateAway("no")

    sessions.revoked = away  # type: ignore[assignment, method-assign]
    revocations.look_now()
    assert await revocations.now() == known
    await state.close()
