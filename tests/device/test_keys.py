import time
from pathlib import Path

import pytest

from device.helpers import new_key, public_set, signed_token, tiny_web
from ucam.base.tokens import TokenError
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
