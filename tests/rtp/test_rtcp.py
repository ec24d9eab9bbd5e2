from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.rtp import PacketError
from ucam.rtp.rtcp import SenderReport, build_sender_report, sender_reports

REPORT = SenderReport(0xAABBCCDD, 1_795_325_400_123_456, 0x01020304, 5, 600)
numbers = st.integers(0, 0xFFFFFFFF)
reports = st.builds(
    SenderReport, numbers, st.integers(0, 4_000_000_000_000_000), numbers, numbers, numbers
)


@given(reports, st.text(max_size=60))
def test_reports_round_trip(report: SenderReport, cname: str) -> None:
    data = build_sender_report(report, cname)
    assert len(data) % 4 == 0
    assert sender_reports(data) == [report]


def test_other_packets_are_passed_over() -> None:
    receiver_report = bytes.fromhex("80c90001" + "11111111")
    data = receiver_report + build_sender_report(REPORT, "a@b") + build_sender_report(REPORT, "")
    assert sender_reports(data) == [REPORT, REPORT]


def test_a_sender_without_a_clock_reports_nothing() -> None:
    data = bytearray(build_sender_report(REPORT, "a"))
    data[8:16] = bytes(8)
    assert sender_reports(bytes(data)) == []


@pytest.mark.parametrize(
    "text", ["80c8", "40c80006", "80c80006" + "00" * 20, "80c80001" + "00" * 4]
)
def test_what_is_no_rtcp_is_told(text: str) -> None:
    with pytest.raises(PacketError):
        sender_reports(bytes.fromhex(text))


def test_limits() -> None:
    with pytest.raises(PacketError):
        sender_reports(bytes.fromhex("80c90000") * 20_000)
    with pytest.raises(PacketError):
        build_sender_report(REPORT, "x" * 256)


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_packet_errors(data: bytes) -> None:
    for text in (data, b"\x80\xc8\x00\x06" + data):
        with suppress(PacketError):
            assert len(sender_reports(text)) <= 3
