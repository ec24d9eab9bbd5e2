"""Interleaved packets (RFC 2326 §10.12) as bytes: whole, for readers of a live stream. No I/O.

Functions that take bytes want whole packets, each behind its four bytes `$`, channel, length.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Bytes = bytes | bytearray | memoryview

_HEAD = struct.Struct(">BBH")
_RTP = struct.Struct(">HII")  # behind its first two bytes
_SENDER_REPORT = 200


class RTPHead(NamedTuple):
    """What tells a stream's packets apart and puts them in order."""

    sequence: int
    timestamp: int
    ssrc: int


def frame(channel: int, packet: Bytes) -> bytes:
    """One packet behind its head."""
    return _HEAD.pack(0x24, channel, len(packet)) + bytes(packet)


def joined(packets: list[tuple[int, memoryview]]) -> bytes:
    """Packets with their channels as bytes again."""
    parts: list[Bytes] = []
    for channel, packet in packets:
        parts += (_HEAD.pack(0x24, channel, len(packet)), packet)
    return b"".join(parts)


def frames(data: Bytes) -> Iterator[tuple[int, int, int]]:
    """(channel, where the packet begins, where it ends) of each."""
    position, end = 0, len(data)
    while position < end:
        _, channel, size = _HEAD.unpack_from(data, position)
        yield channel, position + 4, position + 4 + size
        position += 4 + size


def heads(data: Bytes, channels: frozenset[int], *, last: bool = False) -> dict[int, RTPHead]:
    """The first (or last) RTP head on each of these channels, as far as there is one."""
    found: dict[int, RTPHead] = {}
    for channel, start, stop in frames(data):
        if channel in channels and (last or channel not in found) and stop - start >= 12:
            found[channel] = RTPHead(*_RTP.unpack_from(data, start + 2))
            if not last and len(found) == len(channels):
                break
    return found


def moved(data: Bytes, channels: Mapping[int, int]) -> bytes:
    """The packets of these channels, under the numbers that they have for a reader."""
    parts: list[Bytes] = []
    view = memoryview(data)
    for channel, start, stop in frames(data):
        number = channels.get(channel)
        if number is not None:
            parts += (_HEAD.pack(0x24, number, stop - start), view[start:stop])
    return b"".join(parts)


def behind(packets: list[tuple[int, memoryview]], packet: memoryview) -> int:
    """Where the access unit behind the one that `packet` made whole begins.

    A packet without marker made it whole by belonging to the next.
    """
    position = 0
    for _, each in packets:
        if each is packet:
            return position + 4 + len(each) if each[1] & 0x80 else position
        position += 4 + len(each)
    return position


@dataclass(frozen=True, slots=True)
class Splice:
    """What makes a publisher's new packets go on where its old ones ended: for one track."""

    ssrc: int
    sequence_ahead: int
    timestamp_ahead: int

    @classmethod
    def between(cls, old: RTPHead, new: RTPHead, elapsed_ticks: int) -> "Splice":
        """`new` becomes the packet right behind `old`, so many ticks of its clock later."""
        return cls(
            old.ssrc,
            old.sequence + 1 - new.sequence,
            old.timestamp + max(1, elapsed_ticks) - new.timestamp,
        )

    def rtp(self, packet: bytearray, start: int, stop: int) -> None:
        """Change the RTP packet that lies there."""
        if stop - start >= 12:
            sequence, timestamp, _ = _RTP.unpack_from(packet, start + 2)
            _RTP.pack_into(
                packet,
                start + 2,
                (sequence + self.sequence_ahead) & 0xFFFF,
                (timestamp + self.timestamp_ahead) & 0xFFFFFFFF,
                self.ssrc,
            )

    def rtcp(self, packet: bytearray, start: int, stop: int) -> None:
        """Change each report (RFC 3550 §6.4, §6.5) of the compound packet that lies there."""
        position = start
        while position + 8 <= stop:
            end = position + 4 + 4 * (packet[position + 2] << 8 | packet[position + 3])
            struct.pack_into(">I", packet, position + 4, self.ssrc)
            if packet[position + 1] == _SENDER_REPORT and position + 20 <= min(end, stop):
                (timestamp,) = struct.unpack_from(">I", packet, position + 16)
                ahead = (timestamp + self.timestamp_ahead) & 0xFFFFFFFF
                struct.pack_into(">I", packet, position + 16, ahead)
            position = end


def spliced(data: Bytes, rtp: Mapping[int, Splice], rtcp: Mapping[int, Splice]) -> bytes:
    """The packets with what their channels' splices change."""
    out = bytearray(data)
    for channel, start, stop in frames(data):
        if (media := rtp.get(channel)) is not None:
            media.rtp(out, start, stop)
        elif (report := rtcp.get(channel)) is not None:
            report.rtcp(out, start, stop)
    return bytes(out)
