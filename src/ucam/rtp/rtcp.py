"""RTCP: sender reports, inside compound packets (RFC 3550 §6)."""

import struct
from dataclasses import dataclass

from ucam.media.clock import from_ntp64, to_ntp64
from ucam.rtp.errors import PacketError

MAX_COMPOUND = 65_535

_SENDER_REPORT, _DESCRIPTION = 200, 202
_CNAME = 1
_HEAD = struct.Struct(">BBH")
_SENDER_INFO = struct.Struct(">IQIII")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A sender report without its reception blocks. `utc_us`: the wall clock that belongs to
    `rtp_timestamp`, from its NTP time stamp.
    """

    ssrc: int
    utc_us: int
    rtp_timestamp: int
    packets: int
    octets: int


def sender_reports(data: bytes | memoryview) -> list[SenderReport]:
    """The sender reports of a compound packet (≤ 65,535 bytes); others are passed over, and so is
    a report with an NTP time of zero: its sender has no clock (§6.4.1). Raises `PacketError`.
    """
    if len(data) > MAX_COMPOUND:
        raise PacketError(f"an RTCP packet of {len(data)} bytes")
    found: list[SenderReport] = []
    position = 0
    while position < len(data):
        if position + 4 > len(data) or data[position] >> 6 != 2:
            raise PacketError(f"no RTCP packet at byte {position}")
        _, kind, words = _HEAD.unpack_from(data, position)
        end = position + 4 + 4 * words
        if end > len(data):
            raise PacketError(f"RTCP packet at byte {position} is longer than what holds it")
        if kind == _SENDER_REPORT:
            if end - position < 4 + _SENDER_INFO.size:
                raise PacketError(f"a sender report of {end - position} bytes")
            ssrc, ntp, timestamp, packets, octets = _SENDER_INFO.unpack_from(data, position + 4)
            if ntp:
                found.append(SenderReport(ssrc, from_ntp64(ntp), timestamp, packets, octets))
        position = end
    return found


def build_sender_report(report: SenderReport, cname: str) -> bytes:
    """A compound packet: SR and an SDES with the CNAME, as RFC 3550 §6.1 asks for."""
    name = cname.encode()
    if len(name) > 255:
        raise PacketError("a CNAME of more than 255 bytes")
    info = _SENDER_INFO.pack(
        report.ssrc,
        to_ntp64(report.utc_us),
        report.rtp_timestamp & 0xFFFFFFFF,
        report.packets & 0xFFFFFFFF,
        report.octets & 0xFFFFFFFF,
    )
    chunk = struct.pack(">IBB", report.ssrc, _CNAME, len(name)) + name
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero ends the list of items
    return (
        _HEAD.pack(0x80, _SENDER_REPORT, len(info) // 4)
        + info
        + _HEAD.pack(0x81, _DESCRIPTION, len(chunk) // 4)
        + chunk
    )
