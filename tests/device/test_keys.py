import asyncio
import json
import time
from pathlib import Path

import pytest

from device.helpers import new_key, public_set, signed_token, tiny_web
from ucam.base.tokens import Claims, TokenError, read_revoked
from ucam.device import keys as keys_module
from ucam.device.keys import KeysUnavailable, RemoteKeys


async def test_keys_are_fetched_and_kept_for_when_the_web_is_away(tmp_path: Path) -> None:
    key, cache = new_key("a"), tmp_path / "jwks.json"
    async with tiny_web(lambda _: (200, public_set(key))) as web:
        await RemoteKeys(web.url, cache).fetch()
        url = web.url
    keys = RemoteKeys(url, cache)  # the web application is gone
    with pytest.raises(KeysUnavailable):
        await keys.fetch()
    token = signed_token(key, url, time.time())
    assert keys.verifier.verify(token, time.time()).jid.local == "cam001"


async def test_an_unknown_key_asks_once_for_newer_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key("old"), new_key("new")
    served = [old]
    async with tiny_web(lambda _: (200, public_set(*served))) as web:
        keys = RemoteKeys(web.url, tmp_path / "jwks.json")
        await keys.fetch()
        served.append(new)
        token = signed_token(new, web.url, time.time())
        with pytest.raises(TokenError):
            await keys.verify(token)  # the last question is too fresh
        assert len(web.asked) == 1
        monkeypatch.setattr(keys_module, "LEAST_BETWEEN_FETCHES_S", 0.0)
        assert (await keys.verify(token)).role == "device"
        await keys.verify(token)
        assert len(web.asked) == 2


async def test_nonsense_instead_of_keys_keeps_the_old_ones(tmp_path: Path) -> None:
    key, cache = new_key("a"), tmp_path / "jwks.json"
    cache.write_bytes(public_set(key))
    async with tiny_web(lambda _: (200, b'{"keys": []}')) as web:
        keys = RemoteKeys(web.url, cache)
        with pytest.raises(KeysUnavailable, match="no Ed25519 key"):
            await keys.fetch()
    assert keys.current().keys[0].kid == "a"
    assert cache.read_bytes() == public_set(key)


async def test_a_revoked_token_is_refused_at_once_and_after_a_restart(tmp_path: Path) -> None:
    key, cache = new_key("a"), tmp_path / "jwks.json"
    revoked: list[str] = []

    def answer(_: object) -> tuple[int, bytes]:
        document = {**json.loads(public_set(key)), "revoked": revoked}
        return 200, json.dumps(document).encode()

    async with tiny_web(answer) as web:
        keys = RemoteKeys(web.url, cache)
        running = asyncio.ensure_future(keys.run())
        token = signed_token(key, web.url, time.time())
        claims = await until_believed(keys, token)
        assert not keys.verifier.is_revoked(claims)
        revoked.append(claims.sid or claims.jti)
        keys.changed()  # what the room tells
        async with asyncio.timeout(20):
            while not keys.verifier.is_revoked(claims):
                await asyncio.sleep(0.01)
        with pytest.raises(TokenError, match="revoked"):
            await keys.verify(token)
        async with asyncio.timeout(20):
            while not read_revoked(cache.read_bytes()):
                await asyncio.sleep(0.01)
        running.cancel()
        url = web.url
    again = RemoteKeys(url, cache)  # the web application is gone
    with pytest.raises(TokenError, match="revoked"):
        again.verifier.verify(token, time.time())


async def until_believed(keys: RemoteKeys, token: str) -> Claims:
    async with asyncio.timeout(20):
        while True:
            try:
                return keys.verifier.verify(token, time.time())
            except TokenError:
                await asyncio.sleep(0.01)


def test_a_key_set_that_revokes_nonsense_revokes_nothing() -> None:
    for text in ("{}", "[]", "", '{"revoked": 5}', '{"revoked": [1, null, {}]}'):
        assert read_revoked(text) == frozenset()
