"""RTP packets (RFC 3550 §5.1) with header extensions (RFC 8285) and capture times (RFC 6051)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet, for tests and rare paths; depacketizers read the bytes themselves.

    `extensions`: RFC 8285 elements by id.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool = False
    payload: bytes = field(default=b"", repr=False)
    extensions: dict[int, bytes] = field(default_factory=dict)


def parse(data: bytes | memoryview) -> Packet:
    """Read a packet; raises `PacketError`."""
    raise NotImplementedError


def build(packet: Packet) -> bytes:
    """The packet's bytes (one-byte extensions where they suffice); raises `PacketError`."""
    raise NotImplementedError
