"""The chain of a device's chunks, as text: one signed line for each, tied to the one before.

    ucam-chunk 1 LOCATION JID NUMBER KIND PATH BYTES HEAD-BYTES HEAD-SHA256 MEDIA-SHA256
        PREVIOUS KEY SEALED SIGNATURE

What is signed (Ed25519) is the line up to the space before the signature. PREVIOUS is the SHA-256
of what was signed for NUMBER - 1. A file has two hashes, because its index box comes to stand in
front of media that was hashed while it was written. KIND: `recorded`, or `recovered` when the
hash was taken from the file after a power cut. What rotation has taken is said by another line:

    ucam-gone 1 LOCATION JID RANGES KEY SEALED SIGNATURE

No I/O here.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

RECORDED, RECOVERED = "recorded", "recovered"
START = "0" * 64  # what comes before the first link
_HASH = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{16}")
_RANGES = re.compile(r"-|\d{1,18}-\d{1,18}(?:,\d{1,18}-\d{1,18})*")
MOST_LINE = 2000
HEAD_DIGITS = 32
_HEAD = re.compile(r"(\d{1,18})-([0-9a-f]{32})")


class ChainError(ValueError):
    """A line that is none of ours."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The two hashes of a file: its first `head_bytes` bytes, and all that follow."""

    head_bytes: int
    head: str
    media: str


@dataclass(frozen=True, slots=True)
class Link:
    """One chunk in the chain of its device. `path` is relative to the device's folder."""

    location: str
    jid: str
    number: int
    kind: str
    path: str
    bytes: int
    parts: Parts
    previous: str
    key: str
    sealed: str

    @property
    def statement(self) -> str:
        """What is signed."""
        parts = self.parts
        return (
            f"ucam-chunk 1 {self.location} {self.jid} {self.number} {self.kind} {self.path}"
            f" {self.bytes} {parts.head_bytes} {parts.head} {parts.media} {self.previous}"
            f" {self.key} {self.sealed}"
        )

    @property
    def digest(self) -> str:
        """What the next link calls `previous`."""
        return hashlib.sha256(self.statement.encode()).hexdigest()

    @property
    def head(self) -> str:
        """What to write down of the newest link, so that a chain that was cut is found out."""
        return f"{self.number}-{self.digest[:HEAD_DIGITS]}"


@dataclass(frozen=True, slots=True)
class Gone:
    """The links that rotation has taken: inclusive ranges, ascending."""

    location: str
    jid: str
    ranges: tuple[tuple[int, int], ...]
    key: str
    sealed: str

    @property
    def statement(self) -> str:
        """What is signed."""
        ranges = format_ranges(self.ranges)
        return f"ucam-gone 1 {self.location} {self.jid} {ranges} {self.key} {self.sealed}"


def signed(statement: str, signature: bytes) -> str:
    """A line, without its end."""
    return f"{statement} {base64.b64encode(signature).decode()}"


def parse(line: str) -> tuple[Link | Gone, bytes]:
    """A line and its signature, not yet verified; raises `ChainError`."""
    if len(line) > MOST_LINE:
        raise ChainError("the line is too long")
    words = line.split(" ")
    try:
        signature = base64.b64decode(words[-1], validate=True)
        match words[:-1]:
            case ["ucam-chunk", "1", *rest] if len(rest) == 12:
                return _link(rest), signature
            case ["ucam-gone", "1", location, jid, ranges, key, sealed] if _RANGES.fullmatch(
                ranges
            ):
                return Gone(location, jid, parse_ranges(ranges), key, sealed), signature
    except (ValueError, binascii.Error):
        pass
    raise ChainError(f"not a line of a chain: {line[:60]!a}")


def _link(rest: list[str]) -> Link:
    location, jid, number, kind, path, size, head_bytes, head, media, previous, key, sealed = rest
    hashes = all(_HASH.fullmatch(text) for text in (head, media, previous))
    if not hashes or not _KEY.fullmatch(key) or ".." in path or path.startswith("/"):
        raise ChainError("not a link")
    parts = Parts(int(head_bytes), head, media)
    return Link(location, jid, int(number), kind, path, int(size), parts, previous, key, sealed)


def parse_head(text: str) -> tuple[int, str]:
    """Number and first digits of the digest, of a `Link.head`; raises `ValueError`."""
    match = _HEAD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not the head of a chain, such as 17-{'0' * HEAD_DIGITS}")
    return int(match[1]), match[2]


def format_ranges(ranges: Iterable[tuple[int, int]]) -> str:
    """As in the line."""
    return ",".join(f"{first}-{last}" for first, last in ranges) or "-"


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """The reverse; raises `ValueError`."""
    if text in ("", "-"):
        return ()
    pairs = (part.split("-") for part in text.split(","))
    return tuple((int(first), int(last)) for first, last in pairs)


def with_numbers(
    ranges: Iterable[tuple[int, int]], numbers: Iterable[int]
) -> tuple[tuple[int, int], ...]:
    """Ranges that hold these numbers, too."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, *((number, number) for number in numbers)]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def holds(ranges: Iterable[tuple[int, int]], number: int) -> bool:
    """Whether the number is in one of them."""
    return any(first <= number <= last for first, last in ranges)
