"""RFC 7798, on what x265 made, packetized here by its rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.test_h265 import nals, sets
from ucam.media import BitstreamError, h265
from ucam.media.access_unit import AccessUnit
from ucam.media.h264 import prefixed
from ucam.media.track import VideoTrack
from ucam.rtp import packet
from ucam.rtp.h265_depacketizer import H265Depacketizer
from ucam.rtp.packetizers import packetizer
from ucam.rtp.unit import Unit

UTC = 1_795_325_400_123_456
SLICES = [nal for nal in nals() if h265.nal_type(nal) <= h265.LAST_SLICE]


def rtp(sequence: int, timestamp: int, payload: bytes, marker: bool = False) -> bytes:
    return packet.build(packet.Packet(96, sequence & 0xFFFF, timestamp, 1, marker, payload))


def aggregate(*units: bytes) -> bytes:
    return bytes((48 << 1, 1)) + b"".join(len(nal).to_bytes(2) + nal for nal in units)


def fragments(nal: bytes, size: int) -> list[bytes]:
    kind, parts = h265.nal_type(nal), [nal[n : n + size] for n in range(2, len(nal), size)]
    head = bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    flags = [0x80 * (n == 0) | 0x40 * (n == len(parts) - 1) for n in range(len(parts))]
    return [head + bytes((f | kind,)) + part for f, part in zip(flags, parts, strict=True)]


def packets(size: int, first: int = 0, start: int = 0, in_band: bool = True) -> list[bytes]:
    """The pictures in fragments of `size`; parameter sets aggregated before the first."""
    found, sequence = [], first
    for number, nal in enumerate(SLICES):
        payloads = [nal] if len(nal) <= size else fragments(nal, size)
        if not number and in_band:
            payloads.insert(0, aggregate(*sets()))
        for place, payload in enumerate(payloads):
            last = place == len(payloads) - 1
            found.append(rtp(sequence, (start + 3600 * number) % (1 << 32), payload, last))
            sequence += 1
    return found


def take(receiver: H265Depacketizer, *sent: bytes) -> list[Unit]:
    found = []
    for each in sent:
        receiver.push(each)
        while (unit := receiver.pull()) is not None:
            found.append(unit)
    return found


@pytest.mark.parametrize("size", [100, 1400, 60_000])
@pytest.mark.parametrize("in_band", [False, True])
def test_every_picture_arrives(size: int, in_band: bool) -> None:
    receiver = H265Depacketizer(parameter_sets=() if in_band else sets())
    found = take(receiver, *packets(size, in_band=in_band))
    assert [unit.data for unit in found] == [prefixed([nal]) for nal in SLICES]
    assert [unit.keyframe for unit in found] == [True] + [False] * 7
    assert found[0].parameter_sets == sets()
    assert all(unit.parameter_sets is None for unit in found[1:])
    assert (receiver.lost_packets, receiver.malformed_packets, receiver.dropped_units) == (0, 0, 0)


def test_sequence_numbers_and_time_stamps_wrap() -> None:
    receiver = H265Depacketizer()
    found = take(receiver, *packets(300, first=0xFFFA, start=(1 << 32) - 7200))
    assert len(found) == 8
    assert receiver.lost_packets == 0
    assert [unit.rtp_timestamp for unit in found][:3] == [(1 << 32) - 7200, (1 << 32) - 3600, 0]


def test_after_a_loss_nothing_comes_before_the_next_keyframe() -> None:
    receiver = H265Depacketizer()
    sent = packets(1400)
    del sent[-2]
    again = packets(1400, first=len(sent) + 1, start=90_000)
    found = take(receiver, *sent, *again)
    assert receiver.lost_packets == 1
    lost = next(n for n, unit in enumerate(found) if unit.after_loss)
    assert found[lost].keyframe
    assert len(found) - lost == 8


def test_pictures_of_several_slices_stay_together() -> None:
    receiver = H265Depacketizer(parameter_sets=sets())
    first, second = SLICES[0], SLICES[0]
    found = take(receiver, rtp(0, 0, aggregate(first[:60], second[:70])), rtp(1, 0, first, True))
    assert [unit.data for unit in found] == [prefixed([first[:60], second[:70], first])]


@pytest.mark.parametrize(
    "payload",
    [
        b"\x02",
        bytes((49 << 1, 1, 0x80)),
        bytes((49 << 1, 1, 0x40, 1, 2)),
        bytes((48 << 1, 1, 0, 99, 1)),
        bytes((50 << 1, 1, 0, 0)),
        bytes((33 << 1, 1, 7)),
    ],
)
def test_what_the_rfc_forbids_is_counted(payload: bytes) -> None:
    receiver = H265Depacketizer()
    assert take(receiver, rtp(0, 0, payload, True)) == []
    assert receiver.malformed_packets == 1


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_payloads_raise_nothing(payloads: list[bytes]) -> None:
    receiver = H265Depacketizer(parameter_sets=tuple(payloads[:2]))
    for number, payload in enumerate(payloads):
        receiver.push(payload)
        receiver.push(rtp(number, number // 2, payload, number % 3 == 0))
        receiver.pull()


@pytest.mark.parametrize("max_packet", [64, 100, 1400, 60_000])
@pytest.mark.parametrize("in_band", [False, True])
def test_what_the_packetizer_makes_arrives(max_packet: int, in_band: bool) -> None:
    track = VideoTrack.h265(sets())
    sender = packetizer(track, 96, 7, max_packet=max_packet, ntp64_id=1, first_sequence=0xFFFF)
    receiver = H265Depacketizer(ntp64_id=1)
    for number, nal in enumerate(SLICES):
        nals_ = [*sets(), nal] if in_band and not number else [nal]
        keyframe = h265.FIRST_IRAP <= h265.nal_type(nal) <= h265.LAST_IRAP
        sent = AccessUnit(prefixed(nals_), 3600 * number, UTC + 40_000 * number, keyframe, number)
        packets_ = sender.packetize(sent, sent.pts_90k)
        assert all(len(each) <= max_packet for each in packets_)
        assert [packet.parse(each).marker for each in packets_].count(True) == 1
        (found,) = take(receiver, *packets_)
        assert (found.data, found.keyframe) == (prefixed([nal]), keyframe)
        assert abs((found.capture_utc_us or 0) - sent.utc_us) <= 1
        if not number:
            assert found.parameter_sets == sets()
    assert receiver.malformed_packets == receiver.lost_packets == receiver.dropped_units == 0


def test_parameter_sets_travel_in_one_aggregation_packet() -> None:
    track = VideoTrack.h265(sets())
    sent = AccessUnit(prefixed([SLICES[0]]), 0, UTC, True, 0)
    first, *rest = (packet.parse(each) for each in packetizer(track, 96, 7).packetize(sent, 0))
    assert first.payload == aggregate(*sets())
    assert [each.payload for each in rest] == [SLICES[0]]


def test_a_nal_unit_that_is_only_a_head_is_refused() -> None:
    sender = packetizer(VideoTrack.h265(sets()), 96, 7)
    with pytest.raises(BitstreamError):
        sender.packetize(AccessUnit(prefixed([b"\x02\x01"]), 0, 0, False, 0), 0)
