"""RTP packets (RFC 3550 §5.1) with header extensions (RFC 8285) and capture times (RFC 6051)."""

import struct
from dataclasses import dataclass, field

from ucam.media.clock import from_ntp64
from ucam.rtp.errors import PacketError

HEAD = struct.Struct(">BBHII")
ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000
_PADDING = 15  # id of one-byte elements at which reading stops (RFC 8285 §4.2)


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


def payload_bounds(data: bytes | memoryview) -> tuple[int, int, int]:
    """Where the header extension's content begins (0: there is none), where the payload begins,
    and where it ends (padding taken off). Raises `PacketError`.
    """
    size = len(data)
    if size < HEAD.size or data[0] >> 6 != 2:
        raise PacketError(f"no RTP packet: {size} bytes, first {bytes(data[:1]).hex() or 'none'}")
    start, extension, end = 12 + 4 * (data[0] & 0x0F), 0, size
    if data[0] & 0x10:
        if start + 4 > size:
            raise PacketError("a header extension beyond the packet's end")
        extension = start + 4
        start = extension + 4 * (data[start + 2] << 8 | data[start + 3])
    if data[0] & 0x20:
        end -= data[size - 1]
        if not data[size - 1]:
            raise PacketError("padding of no bytes")
    if start > end:
        raise PacketError(f"a head of {start} bytes in a packet of {size}")
    return extension, start, end


def capture_time_us(data: bytes | memoryview, extension: int, end: int, element: int) -> int | None:
    """The capture time of an `ntp-64` element (RFC 6051) in microseconds of UTC, None without one.

    `extension` to `end` as in `extension_elements`; `element`: its id, as the SDP says.
    """
    profile = data[extension - 4] << 8 | data[extension - 3]
    one_byte = profile == ONE_BYTE and end - extension >= 9
    if one_byte and element < _PADDING and data[extension] == element << 4 | 7:
        # As ours and GStreamer's senders write it, for every picture: the first, in 8 bytes.
        return from_ntp64(int.from_bytes(data[extension + 1 : extension + 9]))
    stamp = extension_elements(data, extension, end).get(element, b"")
    return from_ntp64(int.from_bytes(stamp)) if len(stamp) == 8 else None


def extension_elements(data: bytes | memoryview, extension: int, end: int) -> dict[int, bytes]:
    """The RFC 8285 elements of the extension whose content spans `extension` to `end`; none when
    it has another profile. Elements cut off by its end are left out.
    """
    profile = data[extension - 4] << 8 | data[extension - 3]
    two_byte = profile & 0xFFF0 == TWO_BYTE
    found: dict[int, bytes] = {}
    position = extension
    while position < end and (two_byte or profile == ONE_BYTE):
        first = data[position]
        position += 1
        if not first:
            continue  # padding between elements
        if two_byte:
            if position == end:
                break
            number, length = first, data[position]
            position += 1
        else:
            number, length = first >> 4, (first & 0x0F) + 1
            if number == _PADDING:
                break
        if position + length > end:
            break
        if number:
            found[number] = bytes(data[position : position + length])
        position += length
    return found


def parse(data: bytes | memoryview) -> Packet:
    """Read a packet; raises `PacketError`."""
    extension, start, end = payload_bounds(data)
    _, second, sequence, timestamp, ssrc = HEAD.unpack_from(data)
    return Packet(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        marker=second >= 0x80,
        payload=bytes(data[start:end]),
        extensions=extension_elements(data, extension, start) if extension else {},
    )


def build(packet: Packet) -> bytes:
    """The packet's bytes (one-byte extensions where they suffice); raises `PacketError`."""
    second = (0x80 if packet.marker else 0) | packet.payload_type
    extension = build_extension(packet.extensions)
    first = 0x90 if extension else 0x80
    try:
        head = HEAD.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)
    except struct.error as error:
        raise PacketError(f"a number that no packet can hold: {error}") from error
    return head + extension + packet.payload


def build_extension(elements: dict[int, bytes]) -> bytes:
    """The header extension of these elements, empty when there are none (RFC 8285 §4.2, §4.3)."""
    if not elements:
        return b""
    if any(not 1 <= number <= 255 or len(data) > 255 for number, data in elements.items()):
        raise PacketError("header extension elements have ids 1 to 255 and at most 255 bytes")
    one_byte = all(number <= 14 and 1 <= len(data) <= 16 for number, data in elements.items())
    content = bytearray()
    for number, data in elements.items():
        content += bytes((number << 4 | len(data) - 1,)) if one_byte else bytes((number, len(data)))
        content += data
    content += bytes(-len(content) % 4)
    profile = ONE_BYTE if one_byte else TWO_BYTE
    return struct.pack(">HH", profile, len(content) // 4) + bytes(content)
