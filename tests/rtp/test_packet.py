from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.rtp import PacketError
from ucam.rtp.packet import Packet, build, parse

packets = st.builds(
    Packet,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    marker=st.booleans(),
    payload=st.binary(max_size=50),
    extensions=st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=4),
)


@given(packets)
def test_packets_round_trip(packet: Packet) -> None:
    assert parse(build(packet)) == packet


def test_the_layout_of_rfc_3550_and_8285() -> None:
    packet = Packet(96, 0x1234, 0x01020304, 0xAABBCCDD, True, b"xy", {3: b"abc"})
    assert build(packet).hex() == (
        "90e01234" + "01020304" + "aabbccdd" + "bede0001" + "32616263" + "7879"
    )
    two_bytes = Packet(96, 0, 0, 0, extensions={200: b""})
    assert build(two_bytes)[12:].hex() == "10000001" + "c8000000"


def test_contributing_sources_and_padding_are_taken_off() -> None:
    head = bytes.fromhex("a2600001" + "00000000" + "00000000" + "11111111" + "22222222")
    assert parse(head + b"data" + b"\0\0\3").payload == b"data"


def test_elements_of_another_profile_or_cut_off_are_left_out() -> None:
    head = bytes.fromhex("90600001" + "00000000" + "00000000")
    assert parse(head + bytes.fromhex("abcd0001" + "10aa0000")).extensions == {}
    assert parse(head + bytes.fromhex("bede0001" + "10aa2f00")).extensions == {1: b"\xaa"}
    assert parse(head + bytes.fromhex("bede0001" + "f0aa10bb")).extensions == {}
    assert parse(head + bytes.fromhex("bede0001" + "0010aa00")).extensions == {1: b"\xaa"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80600001000000000000",
        "40600001" + "00000000" * 2,
        "81600001" + "00000000" * 2,
        "90600001" + "00000000" * 2 + "bede",
        "90600001" + "00000000" * 2 + "bede0002" + "00000000",
        "a0600001" + "00000000" * 2 + "00",
        "a0600001" + "00000000" * 2 + "05",
    ],
)
def test_what_is_no_packet_is_told(text: str) -> None:
    with pytest.raises(PacketError):
        parse(bytes.fromhex(text))


@pytest.mark.parametrize(
    "packet",
    [
        Packet(96, 0x10000, 0, 0),
        Packet(96, 0, 1 << 32, 0),
        Packet(96, 0, 0, 0, extensions={0: b"a"}),
        Packet(96, 0, 0, 0, extensions={1: bytes(256)}),
    ],
)
def test_what_no_packet_can_hold_is_told(packet: Packet) -> None:
    with pytest.raises(PacketError):
        build(packet)


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_packet_errors(data: bytes) -> None:
    for text in (data, b"\x90" + data, b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x02" + data):
        with suppress(PacketError):
            assert len(parse(text).payload) <= len(text)
