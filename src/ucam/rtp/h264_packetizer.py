"""H.264 access units into RTP packets (RFC 6184 §5.6, §5.7.1, §5.8)."""

import struct
from collections.abc import Sequence

from ucam.media import h264
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import to_ntp64
from ucam.rtp.errors import PayloadError
from ucam.rtp.packet import HEAD, ONE_BYTE

STAP_A, FU_A = 24, 28
MIN_PACKET, MAX_PACKET = 64, 65_535

_FU_START, _FU_END = 0x80, 0x40
# An extension of three words: one element of 8 bytes (RFC 8285 §4.2, RFC 6051 §3.3), padding.
_NTP64 = struct.Struct(">HHBQ3x")
_LENGTH = struct.Struct(">H")

Payload = tuple[bytes | memoryview, ...]


class H264Packetizer:
    """Access units into packets of at most `max_packet` bytes, header included.

    `ntp64_id`: the RFC 8285 id (1–14) of `urn:ietf:params:rtp-hdrext:ntp-64`; the first packet of
    each access unit then holds its capture time. `parameter_sets` stand before every keyframe
    that brings none of its own. What precedes the first slice goes into one STAP-A, if it fits.
    Raises `PayloadError` for a `max_packet` beyond 64 to 65,535, or an impossible id.
    """

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
        self._parameter_sets = parameter_sets
        self._sequence = first_sequence & 0xFFFF

    def packetize(self, unit: AccessUnit, rtp_timestamp: int) -> list[bytes]:
        """The packets of one access unit, the marker on the last. `rtp_timestamp` is taken
        modulo 2³²; usually `unit.pts_90k`. Raises `BitstreamError` for malformed data.
        """
        extension = b""
        if self._ntp64_id is not None:
            stamp = to_ntp64(unit.utc_us)
            extension = _NTP64.pack(ONE_BYTE, 3, self._ntp64_id << 4 | 7, stamp)
        payloads = self._payloads(unit, self._room - len(extension))
        timestamp, last = rtp_timestamp & 0xFFFFFFFF, len(payloads) - 1
        packets: list[bytes] = []
        for index, payload in enumerate(payloads):
            first = 0x90 if extension else 0x80
            second = self._payload_type | (0x80 if index == last else 0)
            head = HEAD.pack(first, second, self._sequence, timestamp, self._ssrc)
            packets.append(b"".join((head, extension, *payload)))
            self._sequence = (self._sequence + 1) & 0xFFFF
            extension = b""
        return packets

    def _payloads(self, unit: AccessUnit, first_room: int) -> list[Payload]:
        nals: list[bytes | memoryview] = list(h264.nals(unit.data))
        kinds = [nal[0] & 0x1F for nal in nals]
        if unit.keyframe and h264.SPS not in kinds:
            nals = [*self._parameter_sets, *nals]
            kinds = [nal[0] & 0x1F for nal in nals]
        leading = next((n for n, kind in enumerate(kinds) if kind <= h264.IDR), len(kinds))
        payloads: list[Payload] = []
        aggregate = _stap_a(nals[:leading])
        if leading > 1 and sum(map(len, aggregate)) <= first_room:
            payloads.append(aggregate)
            nals = nals[leading:]
        for nal in nals:
            room = self._room if payloads else first_room
            if len(nal) <= room:
                payloads.append((nal,))
            else:
                payloads += _fragments(nal, room, self._room)
        return payloads


def _stap_a(nals: Sequence[bytes | memoryview]) -> Payload:
    """An aggregation packet (§5.7.1); its NRI is the highest of its NAL units."""
    parts: list[bytes | memoryview] = [b""]
    importance = 0
    for nal in nals:
        importance = max(importance, nal[0] & 0x60)
        parts += (_LENGTH.pack(len(nal) & 0xFFFF), nal)
    parts[0] = bytes((importance | STAP_A,))
    return tuple(parts)


def _fragments(nal: bytes | memoryview, first_room: int, room: int) -> list[Payload]:
    """Fragmentation units of type A (§5.8), at least two."""
    view = memoryview(nal)
    indicator, kind = view[0] & 0xE0 | FU_A, view[0] & 0x1F
    found: list[Payload] = []
    position, size, flags = 1, first_room - 2, _FU_START
    while position < len(view):
        end = min(position + size, len(view))
        if end == len(view):
            flags |= _FU_END
        found.append((bytes((indicator, flags | kind)), view[position:end]))
        position, size, flags = end, room - 2, 0
    return found
