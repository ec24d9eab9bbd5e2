"""The state of a web application that runs as several processes: Redis.

    ucam:SHELF:KEY         a record's value, which Redis forgets at its end
    ucam:list:SHELF:OWNER  the keys in an owner's list; some may have ended already
    ucam:limit:NAME:KEY    the times of a limit, as a sorted set
    ucam:arrivals          the last number that was given out

Each operation is one command, or one script: Redis runs them one after the other. `change` reads,
decides here, and writes if the value is still the one that it read.
"""

import math
import secrets
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from redis.asyncio import Redis

from ucam.web.redis_link import PREFIX, ask, close
from ucam.web.state import KEEP, Put, Rule, StateAway, Turn

T = TypeVar("T")
MAX_TRIES = 100

# KEYS: record, list or "". ARGV: "1" and the old value, or "0" and ""; "put" or "drop"; the new
# value; the ms that it lives or ""; the record's key.
_REPLACE = """
local now = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then
  if now then return 0 end
elseif now ~= ARGV[2] then
  return 0
end
if ARGV[3] == 'drop' then
  redis.call('DEL', KEYS[1])
  return 1
end
if ARGV[5] == '' then
  redis.call('SET', KEYS[1], ARGV[4])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
end
if KEYS[2] ~= '' then
  redis.call('SADD', KEYS[2], ARGV[6])
end
return 1
"""
# KEYS: the list. ARGV: what stands before its records' keys. Keys without a record leave the list.
_OWNED = """
local found = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local value = redis.call('GET', ARGV[1] .. key)
  if value then
    found[#found + 1] = key
    found[#found + 1] = value
  else
    redis.call('SREM', KEYS[1], key)
  end
end
return found
"""
# KEYS: the last number. Microseconds, so that it grows even when Redis has lost all it knew.
_ARRIVE = """
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
local number = math.max(last + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], string.format('%.0f', number))
return number
"""
# KEYS: the limits. ARGV: now in s; a name for this turn; then count and window of each limit.
_ALLOW = """
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', tonumber(ARGV[1]) - tonumber(ARGV[2 * i + 2]))
  if redis.call('ZCARD', key) >= tonumber(ARGV[2 * i + 1]) then return 0 end
end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, ARGV[1], ARGV[2])
  redis.call('PEXPIRE', key, math.ceil(1000 * tonumber(ARGV[2 * i + 2])))
end
return 1
"""


class RedisState:
    """The state at a Redis client; see `State` for what each operation does."""

    def __init__(self, client: Redis) -> None:
        self._redis = client
        self._replace = client.register_script(_REPLACE)
        self._owned = client.register_script(_OWNED)
        self._arrive = client.register_script(_ARRIVE)
        self._allow = client.register_script(_ALLOW)

    async def get(self, shelf: str, key: str, now_s: float) -> bytes | None:
        """See `State`."""
        return _unpack(await ask(self._redis.get(_record(shelf, key))), now_s)

    async def put(self, shelf: str, key: str, put: Put, now_s: float) -> None:
        """See `State`."""
        await self.change(shelf, key, lambda _old: (put, None), now_s)

    async def take(self, shelf: str, key: str, now_s: float) -> bytes | None:
        """See `State`."""
        return _unpack(await ask(self._redis.getdel(_record(shelf, key))), now_s)

    async def change(self, shelf: str, key: str, rule: Rule[T], now_s: float) -> T:
        """See `State`."""
        for _ in range(MAX_TRIES):
            old = cast("bytes | None", await ask(self._redis.get(_record(shelf, key))))
            decision, answer = rule(_unpack(old, now_s))
            if decision is KEEP or await self._write(shelf, key, old, decision, now_s):
                return answer
        raise StateAway(f"a record of {shelf} is changed by too many at once")

    async def _write(
        self, shelf: str, key: str, old: bytes | None, decision: object, now_s: float
    ) -> bool:
        known = ("0", b"") if old is None else ("1", old)
        if isinstance(decision, Put):
            owner = "" if decision.owner is None else _list(shelf, decision.owner)
            lives_ms: int | str = ""
            if decision.until_s is not None:
                lives_ms = max(1, math.ceil((decision.until_s - now_s) * 1000))
            what: tuple[Any, ...] = ("put", _pack(decision), lives_ms, key)
        else:
            owner, what = "", ("drop", b"", "", key)
        keys = [_record(shelf, key), owner]
        return bool(await ask(self._replace(keys=keys, args=[*known, *what])))

    async def owned(self, shelf: str, owner: str, now_s: float) -> dict[str, bytes]:
        """See `State`."""
        keys = [_list(shelf, owner)]
        answer = await ask(self._owned(keys=keys, args=[_record(shelf, "")]))
        pairs = zip(answer[::2], answer[1::2], strict=True)
        found = {key.decode(): _unpack(record, now_s) for key, record in pairs}
        return {key: value for key, value in found.items() if value is not None}

    async def allow(self, turns: Sequence[Turn], now_s: float) -> bool:
        """See `State`."""
        keys = [f"{PREFIX}limit:{limit.name}:{key}" for limit, key in turns]
        bounds = [number for limit, _ in turns for number in (limit.count, limit.window_s)]
        name = secrets.token_hex(8)
        return bool(await ask(self._allow(keys=keys, args=[repr(now_s), name, *bounds])))

    async def arrive(self) -> int:
        """See `State`."""
        return int(await ask(self._arrive(keys=[f"{PREFIX}arrivals"])))

    async def check(self) -> None:
        """See `State`."""
        await ask(self._redis.ping())

    async def close(self) -> None:
        """See `State`."""
        await close(self._redis)


# The end stands in the value, too: Redis' clock, by which it forgets, may not be ours.


def _pack(put: Put) -> bytes:
    return f"{'' if put.until_s is None else repr(put.until_s)}\n".encode() + put.value


def _unpack(record: bytes | str | None, now_s: float) -> bytes | None:
    if not isinstance(record, bytes):  # None; never a text, for the client decodes nothing
        return None
    until, _, value = record.partition(b"\n")
    return None if until and float(until) <= now_s else value


def _record(shelf: str, key: str) -> str:
    return f"{PREFIX}{shelf}:{key}"


def _list(shelf: str, owner: str) -> str:
    return f"{PREFIX}list:{shelf}:{owner}"
