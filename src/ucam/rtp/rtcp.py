"""RTCP: sender reports, inside compound packets (RFC 3550 §6)."""

from dataclasses import dataclass


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
    """The sender reports of a compound packet (≤ 65,535 bytes); others are passed over.
    Raises `PacketError`.
    """
    raise NotImplementedError


def build_sender_report(report: SenderReport, cname: str) -> bytes:
    """A compound packet: SR and an SDES with the CNAME, as RFC 3550 §6.1 asks for."""
    raise NotImplementedError
