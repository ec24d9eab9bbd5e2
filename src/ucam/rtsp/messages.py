"""RTSP messages (RFC 2326 §4–7) and interleaved data (§10.12)."""

from dataclasses import dataclass, field
from typing import NamedTuple

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Its repr shows neither URI nor headers: both may hold a token."""

    method: str
    uri: str = field(repr=False)
    headers: tuple[Header, ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        return _find(self.headers, name)

    def encode(self) -> bytes:
        """The bytes on the wire; Content-Length is added when there is a body."""
        return _encode(f"{self.method} {self.uri} RTSP/1.0", self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    reason: str
    headers: tuple[Header, ...] = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        return _find(self.headers, name)

    def encode(self) -> bytes:
        """The bytes on the wire; Content-Length is added when there is a body."""
        return _encode(f"RTSP/1.0 {self.status} {self.reason}", self.headers, self.body)


class Interleaved(NamedTuple):
    """Interleaved packets that came one right after the other: (channel, packet) each.

    The packets are views of immutable bytes: they stay valid for as long as they are kept. `raw`:
    the bytes that hold them all, their interleaving heads included.
    """

    packets: list[tuple[int, memoryview]]
    raw: memoryview


Message = Request | Response | Interleaved


def _find(headers: tuple[Header, ...], name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def _encode(first: str, headers: tuple[Header, ...], body: bytes) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break inside an RTSP header")
    return "\r\n".join([*lines, "", ""]).encode() + body
