"""The captured publishers of tests/vectors, and a server that accepts them."""

import re
from dataclasses import dataclass
from pathlib import Path

from ucam.rtsp.server import (
    Announced,
    DescribeRequested,
    Event,
    Media,
    ParameterQuery,
    PlayRequested,
    ServerConnection,
)

VECTORS = Path(__file__).parent.parent / "vectors"
NAMES = sorted(path.name for path in VECTORS.glob("*.txt"))


@dataclass(frozen=True)
class Peer:
    """What a publisher sent, and the entropy its server drew the session id from."""

    data: bytes
    entropy: bytes


def peer(name: str) -> Peer:
    data = (VECTORS / name).read_bytes()
    found = re.search(rb"\r\nSession: ([0-9a-f]{32})", data)
    assert found is not None
    return Peer(data, bytes.fromhex(found[1].decode()))


def accept_all(connection: ServerConnection, data: bytes) -> list[Event]:
    """The events of these bytes; what wants a decision gets a yes."""
    events = []
    for event in connection.receive(data):
        events.append(event)
        match event:
            case Announced():
                connection.accept(event)
            case ParameterQuery():
                connection.answer(event, dict.fromkeys(event.names, "none"))
            case DescribeRequested():
                connection.describe(event, b"v=0\r\n", 1)
            case PlayRequested():
                connection.play(event, [])
    return events


def flat(events: list[Event]) -> list[object]:
    """Events as they are told apart however the bytes were split: packet by packet."""
    found: list[object] = []
    for event in events:
        if isinstance(event, Media):
            found += [(channel, bytes(packet)) for channel, packet in event.packets]
        else:
            found.append(event)
    return found
