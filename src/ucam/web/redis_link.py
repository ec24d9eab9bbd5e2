"""The way to Redis: a client by its address, questions that take no longer than they may, and
errors as ours."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ucam.web.state import StateAway

T = TypeVar("T")
# Whoever asks is answered 503 rather soon than late.
TIMEOUT_S = 3.0
# One process asks for about one thing at a time for each request that it works on.
MAX_CONNECTIONS = 32
PREFIX = "ucam:"


def connect(url: str) -> aioredis.Redis:
    """A client; it connects when it is first used, and again by itself.

    One more try at once, for a connection that Redis closed while nobody looked. The client has no
    timeouts: several of its own may end at the same moment, and then cancel whoever asked.
    """
    pool = aioredis.BlockingConnectionPool.from_url(
        url,
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 1),
        max_connections=MAX_CONNECTIONS,
    )
    return aioredis.Redis.from_pool(pool)


async def ask(question: Awaitable[T], within_s: float = TIMEOUT_S) -> T:
    """The answer of Redis; raises `StateAway` when there is none in time."""
    task = asyncio.ensure_future(question)
    try:
        await asyncio.wait((task,), timeout=within_s)
    finally:
        task.cancel()
    if not task.done() or task.cancelled():
        raise StateAway(f"Redis: no answer in {within_s:.0f} s")
    with away():
        return task.result()


@contextlib.contextmanager
def away() -> Iterator[None]:
    """Errors of Redis as `StateAway`. Their texts name host and port, never the password."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StateAway(f"Redis: {type(error).__name__}: {error}") from None


async def close(client: aioredis.Redis) -> None:
    """Close its connections, and wait until the event loop has let go of them."""
    with contextlib.suppress(StateAway):
        await ask(client.aclose())
    await asyncio.sleep(0)
