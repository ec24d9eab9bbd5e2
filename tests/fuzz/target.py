"""What a fuzz target is, and what several of them share."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """`run` raises for whatever must not happen; `seeds`: real messages to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


def pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    """The first two bytes say how the rest is split: (the rest, the pieces)."""
    chance = random.Random(int.from_bytes(data[:2]))
    body = data[2:]
    found: list[bytes] = []
    position = 0
    while position < len(body):
        size = chance.choice((1, 2, 3, 5, 17, 150, 1500))
        found.append(body[position : position + size])
        position += size
    return body, found


def frames(data: bytes) -> Iterator[bytes]:
    """Records behind two bytes of length each; the last may be cut off."""
    position = 0
    while position + 2 <= len(data):
        stop = position + 2 + int.from_bytes(data[position : position + 2])
        yield data[position + 2 : stop]
        position = stop


def framed(records: Iterable[bytes]) -> bytes:
    """The inverse."""
    return b"".join(len(record).to_bytes(2) + record for record in records)


def committed(name: str) -> list[bytes]:
    """The corpus that stands beside this file: messages, and what once was a crash."""
    folder = CORPUS / name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
