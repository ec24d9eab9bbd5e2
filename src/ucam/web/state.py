"""What the processes of one web application share: records on shelves, and limits over time.

A record is a key, bytes, an end, and perhaps an owner in whose list it stands. Every operation is
atomic, between processes too. `state_sqlite` keeps it in a file for one process, `state_redis` for
several. Values hold no secret: of a link or a code only its hash, of a token only its id.

Times are seconds since 1970 and come in as arguments; a record whose end has come isn't there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

T = TypeVar("T")


class StateAway(Exception):  # noqa: N818 - a state of the world, which passes
    """The shared state can't be reached just now; whoever asks is answered 503."""


@dataclass(frozen=True, slots=True)
class Put:
    """A record as it shall be from now on. `until_s` None: it never ends; `owner` None: it stands
    in nobody's list. The owner of a key never changes."""

    value: bytes
    until_s: float | None
    owner: str | None = None


class Leave(Enum):
    """What else a rule may decide: nothing is changed, or the record goes."""

    KEEP = "keep"
    DROP = "drop"


KEEP, DROP = Leave.KEEP, Leave.DROP
Decision = Put | Leave

Rule = Callable[[bytes | None], tuple[Decision, T]]
"""From a record's present value to what becomes of it, and the answer to whoever asked. It must be
a pure function: when another process was faster it is asked again."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any `window_s` seconds, for each key."""

    name: str
    count: int
    window_s: float


Turn = tuple[Limit, str]
"""One more of a limit, for a key."""


class State(Protocol):
    """The operations; each raises `StateAway`."""

    async def get(self, shelf: str, key: str, now_s: float) -> bytes | None:
        """A record's value."""

    async def put(self, shelf: str, key: str, put: Put, now_s: float) -> None:
        """Write a record, over the one that is there."""

    async def take(self, shelf: str, key: str, now_s: float) -> bytes | None:
        """Remove a record; its value for exactly one who asks."""

    async def change(self, shelf: str, key: str, rule: Rule[T], now_s: float) -> T:
        """Read a record, decide, write it, as one step; the rule's answer."""

    async def owned(self, shelf: str, owner: str, now_s: float) -> dict[str, bytes]:
        """Keys and values of all records in an owner's list."""

    async def allow(self, turns: Sequence[Turn], now_s: float) -> bool:
        """Whether all these limits have room; only then each counts one more.

        What strangers choose as keys is bounded only by a limit over all: always give one, too.
        """

    async def arrive(self) -> int:
        """A number greater than all that were given before, by any process."""

    async def check(self) -> None:
        """Return when the state can be reached."""

    async def close(self) -> None:
        """Give up its files and connections."""
