"""Requests and answers, as the data channel and HTTPS share them."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

Method = Literal["GET", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Request:
    """`path` with its query; `locations`: those whose cameras the viewer may see.

    `range`, `if_range`, `if_none_match`: as the headers of these names (RFC 9110). `role`, `who`:
    of the token. `token`: for the addresses in a playlist, which players follow
    without a header of their own; empty on the channel.
    """

    path: str
    locations: frozenset[str]
    range: str | None = None
    method: Method = "GET"
    role: str = "player"
    who: str = ""
    token: str = field(default="", repr=False)
    if_range: str | None = None
    if_none_match: str | None = None


class Body(Protocol):
    """Bytes that are read while they are sent; whoever gets it closes it."""

    @property
    def length(self) -> int:
        """Bytes in all."""

    def read(self, position: int, size: int) -> bytes:
        """At most `size` bytes (at least one) from `position` on. Blocks. Raises `OSError`."""

    def close(self) -> None:
        """Give back what is held."""


@dataclass(slots=True)
class FileSlice:
    """Bytes of an open file. Deleting or renaming the file doesn't matter."""

    descriptor: int
    offset: int
    length: int

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        size = min(size, self.length - position)
        return os.pread(self.descriptor, size, self.offset + position)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Endless:
    """What comes while it happens; it has no length, and only HTTPS can send it."""

    blocks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers, and what follows them."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Body | Endless = b""

    @property
    def length(self) -> int | None:
        """Bytes of the body; None: nobody knows."""
        if isinstance(self.body, Endless):
            return None
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    def close(self) -> None:
        """Give back what the body holds."""
        if not isinstance(self.body, bytes | Endless):
            self.body.close()


class Problem(Exception):  # noqa: N818 - becomes an answer
    """Why a request can't be answered: an HTTP status, a code for programs, a sentence, and
    headers that belong to the status.
    """

    def __init__(
        self, status: int, code: str, text: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status, self.code, self.headers = status, code, headers or {}


def not_found() -> Problem:
    """The one way to say that there is no such thing, or that it may not be seen."""
    return Problem(404, "not-found", "there is no such recording")


def problem(status: int, code: str, text: str) -> Answer:
    """An answer that says what is wrong."""
    return json_answer({"error": {"code": code, "text": text}}, status)


def json_answer(content: object, status: int = 200) -> Answer:
    """An answer that is JSON."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Answer(status, headers, msgspec.json.encode(content))
