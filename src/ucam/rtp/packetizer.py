"""What the packetizers of all formats have in common: heads, sequence numbers, capture times."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence

from ucam.media import h264
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import to_ntp64
from ucam.media.errors import BitstreamError
from ucam.rtp.errors import PayloadError
from ucam.rtp.packet import HEAD, ONE_BYTE

MIN_PACKET, MAX_PACKET = 64, 65_535
FU_START, FU_END = 0x80, 0x40  # both formats' fragments have these bits

# An extension of three words: one element of 8 bytes (RFC 8285 §4.2, RFC 6051 §3.3), padding.
_NTP64 = struct.Struct(">HHBQ3x")
_LENGTH = struct.Struct(">H")

Payload = tuple[bytes | memoryview, ...]


class Packetizer(ABC):
    """Access units into packets of at most `max_packet` bytes, header included.

    `ntp64_id`: the RFC 8285 id (1–14) of `urn:ietf:params:rtp-hdrext:ntp-64`; the first packet of
    each access unit then holds its capture time. Raises `PayloadError` for a `max_packet` beyond
    64 to 65,535, or an impossible id.
    """

    def __init__(
        self,
        payload_type: int,
        ssrc: int,
        *,
        max_packet: int = 60_000,
        ntp64_id: int | None = None,
        first_sequence: int = 0,
    ) -> None:
        if not MIN_PACKET <= max_packet <= MAX_PACKET:
            raise PayloadError(f"packets of {max_packet} bytes")
        if ntp64_id is not None and not 1 <= ntp64_id <= 14:
            raise PayloadError(f"{ntp64_id} is no id of a one-byte header extension")
        if not 0 <= payload_type <= 127 or not 0 <= ssrc < 1 << 32:
            raise PayloadError(f"payload type {payload_type}, SSRC {ssrc}")
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._room = max_packet - HEAD.size
        self._ntp64_id = ntp64_id
        self._sequence = first_sequence & 0xFFFF

    def packetize(self, unit: AccessUnit, rtp_timestamp: int) -> list[bytes]:
        """The packets of one access unit, the marker on the last. `rtp_timestamp`, on the format's
        clock, is taken modulo 2³². Raises `BitstreamError` or `PayloadError` for malformed data.
        """
        extension = b""
        if self._ntp64_id is not None:
            stamp = to_ntp64(unit.utc_us)
            extension = _NTP64.pack(ONE_BYTE, 3, self._ntp64_id << 4 | 7, stamp)
        payloads = self._payloads(unit, self._room - len(extension))
        timestamp, left = rtp_timestamp & 0xFFFFFFFF, len(payloads)
        packets: list[bytes] = []
        for payload in payloads:
            left -= 1
            first = 0x90 if extension else 0x80
            second = self._payload_type if left else self._payload_type | 0x80
            head = HEAD.pack(first, second, self._sequence, timestamp, self._ssrc)
            packets.append(b"".join((head, extension, *payload)))
            self._sequence = (self._sequence + 1) & 0xFFFF
            extension = b""
        return packets

    def skip(self) -> None:
        """An access unit is left out: a hole in the sequence numbers, so that whoever counts
        access units doesn't lose count.
        """
        self._sequence = (self._sequence + 1) & 0xFFFF

    @abstractmethod
    def _payloads(self, unit: AccessUnit, first_room: int) -> list[Payload]:
        """At least one; the first of at most `first_room` bytes, the others of `_room`."""


class NalPacketizer(Packetizer):
    """H.264 and H.265. `parameter_sets` stand before every keyframe that brings none of its own.
    What precedes the first slice goes into one aggregation packet, if it fits.
    """

    # Of the format: the type of an SPS, the last type of a slice, the least bytes of a NAL unit.
    SPS: int
    LAST_SLICE: int
    LEAST_BYTES: int

    def __init__(
        self,
        payload_type: int,
        ssrc: int,
        *,
        max_packet: int = 60_000,
        ntp64_id: int | None = None,
        parameter_sets: tuple[bytes, ...] = (),
        first_sequence: int = 0,
    ) -> None:
        super().__init__(
            payload_type,
            ssrc,
            max_packet=max_packet,
            ntp64_id=ntp64_id,
            first_sequence=first_sequence,
        )
        self._parameter_sets = parameter_sets

    @abstractmethod
    def _kind(self, nal: bytes | memoryview) -> int:
        """The type of a NAL unit."""

    @abstractmethod
    def _aggregate(self, nals: Sequence[bytes | memoryview]) -> Payload:
        """One or more NAL units in one packet."""

    @abstractmethod
    def _fragments(self, nal: bytes | memoryview, first_room: int, room: int) -> list[Payload]:
        """A NAL unit in at least two packets."""

    def _payloads(self, unit: AccessUnit, first_room: int) -> list[Payload]:
        size = len(unit.data) - 4
        if self.LEAST_BYTES <= size <= first_room and not unit.keyframe and h264.is_one(unit.data):
            return [(memoryview(unit.data)[4:],)]
        nals: list[bytes | memoryview] = list(h264.nals(unit.data))
        if nals and min(map(len, nals)) < self.LEAST_BYTES:
            raise BitstreamError("a NAL unit that is only a head")
        kinds = list(map(self._kind, nals))
        if unit.keyframe and self.SPS not in kinds:
            nals = [*self._parameter_sets, *nals]
            kinds = list(map(self._kind, nals))
        leading = next((n for n, kind in enumerate(kinds) if kind <= self.LAST_SLICE), len(kinds))
        payloads: list[Payload] = []
        if leading > 1:
            aggregate = self._aggregate(nals[:leading])
            if sum(map(len, aggregate)) <= first_room:
                payloads.append(aggregate)
                nals = nals[leading:]
        for nal in nals:
            room = self._room if payloads else first_room
            if len(nal) <= room:
                payloads.append((nal,))
            else:
                payloads += self._fragments(nal, room, self._room)
        return payloads


class OpusPacketizer(Packetizer):
    """One Opus packet a packet (RFC 7587 §4.2); its clock is 48 kHz."""

    def _payloads(self, unit: AccessUnit, first_room: int) -> list[Payload]:
        if not 0 < len(unit.data) <= first_room:
            raise PayloadError(f"an Opus packet of {len(unit.data)} bytes")
        return [(unit.data,)]


def with_length(nal: bytes | memoryview) -> Payload:
    """A NAL unit inside an aggregation packet."""
    return _LENGTH.pack(len(nal) & 0xFFFF), nal
