"""The way to Redis: a client by its address, its errors as ours."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ucam.web.state import StateAway

TIMEOUT_S = 2.0
# One process asks for about one thing at a time for each request that it works on.
MAX_CONNECTIONS = 32
PREFIX = "ucam:"


def connect(url: str) -> aioredis.Redis:
    """A client; it connects when it is first used, and again by itself.

    One more try at once, for a connection that Redis closed while nobody looked; no more, because
    whoever asks is answered 503 better soon.
    """
    pool = aioredis.BlockingConnectionPool.from_url(
        url,
        timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        max_connections=MAX_CONNECTIONS,
    )
    return aioredis.Redis.from_pool(pool)


async def close(client: aioredis.Redis) -> None:
    """Close its connections, and wait until the event loop has let go of them."""
    await client.aclose()
    await asyncio.sleep(0)


@contextmanager
def away() -> Iterator[None]:
    """Errors of Redis as `StateAway`. Their texts name host and port, never the password."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StateAway(f"Redis: {type(error).__name__}: {error}") from None
