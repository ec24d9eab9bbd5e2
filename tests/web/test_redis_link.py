"""The way to Redis over TLS, with a real redis-server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis import RedisServer, redis_server
from support.smtp import make_certificate
from ucam.web.bus import Bus
from ucam.web.redis_link import ask, connect
from ucam.web.state import Put, StateAway
from ucam.web.state_redis import RedisState


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "redis.pem")


@pytest.fixture
def redis(tmp_path: Path, certificate: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, certificate) as server:
        yield server


async def kept(url: str) -> bytes | None:
    """What a state at that address gives back."""
    state = RedisState(connect(url))
    try:
        await state.put("links", "a", Put(b"1", None), 0)
        return await state.get("links", "a", 0)
    finally:
        await state.close()


async def test_over_tls(
    redis: RedisServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom the machine trusts is trusted: records and the processes' own talk."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert redis.url.startswith("rediss://")
    assert await kept(redis.url) == b"1"
    joined = asyncio.Event()
    bus = Bus(lambda: connect(redis.url), lambda _: None, joined.set, lambda: None)
    running = asyncio.ensure_future(bus.run())
    async with asyncio.timeout(20):
        await joined.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_who_cant_show_a_certificate_that_is_trusted_hears_no_password(
    redis: RedisServer,
) -> None:
    with pytest.raises(StateAway, match="certificate verify failed"):
        await kept(redis.url)


async def test_another_names_certificate_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = make_certificate(tmp_path / "elsewhere.pem", address="192.0.2.7")
    monkeypatch.setenv("SSL_CERT_FILE", str(elsewhere))
    with (
        redis_server(tmp_path, elsewhere) as server,
        pytest.raises(StateAway, match="certificate verify failed"),
    ):
        await kept(server.url)


async def test_without_tls_nobody_is_there(redis: RedisServer) -> None:
    client = connect(redis.url.replace("rediss://", "redis://"))
    try:
        with pytest.raises(StateAway):
            await ask(client.ping())
    finally:
        await client.aclose()
