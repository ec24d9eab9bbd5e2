"""The signing keys of several processes: one record in Redis, and a copy in each data directory.

The copy is what a process signs with; it brings the record back should Redis lose it. The first
process gives its keys, all others take them over: a single process that moves to Redis keeps the
tokens that its devices hold. Private keys stand in Redis as they stand in the file: who may read
either can sign tokens.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ucam.base.service import Fault
from ucam.web.config import WebConfig
from ucam.web.keys import Keys, KeyStore
from ucam.web.redis_link import connect
from ucam.web.state import KEEP, Decision, Put, State, StateAway
from ucam.web.state_redis import RedisState

_log = logging.getLogger(__name__)
T = TypeVar("T")
SHELF, KEY = "keys", "signing"
LOOK_S = 3.0


async def share(keys: KeyStore, state: State, now_s: float) -> None:
    """Take over the shared keys, or give ours where there are none; raises `StateAway`, `Fault`."""
    ours = msgspec.json.encode(keys.kept)

    def rule(record: bytes | None) -> tuple[Decision, bytes]:
        return (Put(ours, None), ours) if record is None else (KEEP, record)

    shared = msgspec.json.decode(await state.change(SHELF, KEY, rule, now_s), type=Keys)
    if shared != keys.kept:
        await asyncio.to_thread(keys.take_over, shared)
        _log.info("signing keys taken over from the other processes")


async def change(keys: KeyStore, state: State, now_s: float, step: Callable[[], T]) -> T:
    """Let `step` change the keys in our data directory, and share what it did.

    When another process was faster its keys count. Raises what `step` raises, `StateAway`, `Fault`.
    """
    await share(keys, state, now_s)
    before = keys.kept
    answer = await asyncio.to_thread(step)
    after = msgspec.json.encode(keys.kept)

    def rule(record: bytes | None) -> tuple[Decision, None]:
        ours = record is None or msgspec.json.decode(record, type=Keys) == before
        return (Put(after, None) if ours else KEEP), None

    await state.change(SHELF, KEY, rule, now_s)
    await share(keys, state, now_s)
    return answer


async def stay_shared(keys: KeyStore, state: State) -> None:
    """Take over what others change, for ever."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await share(keys, state, time.time())
        except StateAway:
            continue  # the bus tells
        except Fault as error:
            _log.error("signing keys not taken over: %s", error)


def use(config: WebConfig, now_s: float, step: Callable[[KeyStore], T]) -> T:
    """For a command: do something with the keys that all processes share; raises `Fault`."""
    keys = KeyStore(config.http.data_dir, now_s)
    if config.state.url.is_sqlite:
        return step(keys)

    async def with_redis() -> T:
        state = RedisState(connect(config.state.url.url))
        try:
            return await change(keys, state, now_s, lambda: step(keys))
        except StateAway as error:
            raise Fault(f"[state] url = {config.state.url}: {error}") from None
        finally:
            await state.close()

    return asyncio.run(with_redis())
