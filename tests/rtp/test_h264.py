from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.clips import clip
from rtsp.peers import NAMES, accept_all, peer
from ucam.media import BitstreamError, h264
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds
from ucam.media.track import VideoTrack
from ucam.rtp import PayloadError
from ucam.rtp.formats import depacketizer
from ucam.rtp.h264 import H264Depacketizer, H264Packetizer
from ucam.rtp.packet import Packet, build, parse
from ucam.rtp.rtcp import sender_reports
from ucam.rtp.unit import Unit
from ucam.rtsp.server import Media, Recording, ServerConnection

UTC = 1_795_325_400_123_456
SETS = clip().parameter_sets
KEY, DELTA = b"\x65" + bytes(range(50)), b"\x41" + bytes(range(50, 90))


def unit(*nals: bytes, pts: int = 0, number: int = 0) -> AccessUnit:
    data = h264.prefixed(nals)
    return AccessUnit(data, pts, UTC + pts, h264.is_keyframe(data), number)


def take(depacketizer: H264Depacketizer, *packets: bytes) -> list[Unit]:
    found = []
    for packet in packets:
        depacketizer.push(packet)
        while (each := depacketizer.pull()) is not None:
            found.append(each)
    return found


nal_units = st.builds(
    lambda kind, body: bytes((kind,)) + body,
    st.sampled_from([0x65, 0x41, 0x01, 0x06]),
    st.binary(min_size=1, max_size=400),
)
access_units = st.lists(
    st.lists(nal_units, min_size=1, max_size=5).filter(lambda nals: any(n[0] != 6 for n in nals)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=200)
@given(
    access_units,
    st.integers(64, 500) | st.sampled_from([1400, 60_000, 65_535]),
    st.integers(0, 0xFFFF),
    st.sampled_from([None, 1, 14]),
)
def test_access_units_come_out_as_they_went_in(
    groups: list[list[bytes]], max_packet: int, sequence: int, ntp64_id: int | None
) -> None:
    packetizer = H264Packetizer(
        96,
        1,
        max_packet=max_packet,
        ntp64_id=ntp64_id,
        parameter_sets=SETS,
        first_sequence=sequence,
    )
    receiver = H264Depacketizer(ntp64_id=ntp64_id)
    known = False
    for number, nals in enumerate(groups):
        sent = unit(*nals, pts=number * 3600)
        packets = packetizer.packetize(sent, sent.pts_90k)
        assert all(len(packet) <= max_packet for packet in packets)
        assert [parse(packet).marker for packet in packets] == [False] * (len(packets) - 1) + [True]
        (found,) = take(receiver, *packets)
        assert (found.data, found.rtp_timestamp) == (sent.data, sent.pts_90k)
        assert found.keyframe == sent.keyframe
        assert found.capture_utc_us == (None if ntp64_id is None else sent.utc_us)
        assert found.parameter_sets == (SETS if sent.keyframe and not known else None)
        assert not found.after_loss
        known = known or sent.keyframe
    assert (receiver.lost_packets, receiver.malformed_packets, receiver.dropped_units) == (0, 0, 0)


@pytest.mark.parametrize("max_packet", [100, 1400, 65_000])
@pytest.mark.parametrize("options", ["", "slices=4"])
def test_real_video_comes_through(max_packet: int, options: str) -> None:
    source = clip(options=options)
    packetizer = H264Packetizer(96, 1, max_packet=max_packet, parameter_sets=source.parameter_sets)
    receiver = H264Depacketizer()
    found = []
    for each in source.units:
        found += take(receiver, *packetizer.packetize(each, each.pts_90k))
    assert [each.data for each in found] == [each.data for each in source.units]
    assert [each.keyframe for each in found] == [each.keyframe for each in source.units]


# ffmpeg and rtspclientsink encoded 50 pictures; with audio the latter ended before its last five.
PICTURES = dict.fromkeys(NAMES, 50) | {"gst-1.22-basic-audio.txt": 45}


@pytest.mark.parametrize("name", NAMES)
def test_what_real_publishers_send_is_whole_pictures(name: str) -> None:
    sent = peer(name)
    receiver: H264Depacketizer | None = None
    units: list[Unit] = []
    reports = []
    channel = -1
    for event in accept_all(ServerConnection(sent.entropy), sent.data):
        if isinstance(event, Recording):
            (track,) = (track for track in event.tracks if track.media.kind == "video")
            sets, ntp64_id = track.media.parameter_sets(), track.media.ntp64_id
            receiver = H264Depacketizer(parameter_sets=sets, ntp64_id=ntp64_id)
            channel = track.rtp_channel
        if isinstance(event, Media):
            assert receiver is not None
            for number, packet in event.packets:
                if number == channel:
                    units += take(receiver, bytes(packet))
                elif number == channel + 1:
                    reports += sender_reports(packet)
    assert receiver is not None
    assert (receiver.lost_packets, receiver.malformed_packets, receiver.dropped_units) == (0, 0, 0)
    assert len(units) == PICTURES[name]
    assert units[0].keyframe
    assert len({each.rtp_timestamp for each in units}) == len(units)
    first_sets = units[0].parameter_sets
    assert first_sets is not None
    assert [nal[0] & 31 for nal in first_sets] == [7, 8]
    assert all(each.parameter_sets is None for each in units[1:])
    # GStreamer stamps no picture that is presented before one it has stamped: no B-frames.
    stamped = [each for each in units if each.capture_utc_us is not None]
    assert len(stamped) == (17 if "ntp64" in name else 0)
    for one, other in pairwise(stamped):
        assert one.capture_utc_us is not None
        assert other.capture_utc_us is not None
        ticks = other.rtp_timestamp - one.rtp_timestamp
        assert abs(other.capture_utc_us - one.capture_utc_us - microseconds(ticks)) < 20
    assert len(reports) >= (1 if name.startswith("ffmpeg") else 0)


def packets_of(count: int, *, key_every: int = 4, max_packet: int = 64) -> list[bytes]:
    packetizer = H264Packetizer(96, 1, max_packet=max_packet)
    units = [unit(KEY if n % key_every == 0 else DELTA, pts=n * 3600) for n in range(count)]
    return [packet for each in units for packet in packetizer.packetize(each, each.pts_90k)]


@settings(max_examples=150)
@given(st.sets(st.integers(1, 11)))
def test_after_a_loss_nothing_comes_before_the_next_whole_keyframe(lost: set[int]) -> None:
    """Units of one packet each, a keyframe every fourth: exactly what can be decoded comes."""
    packets = packets_of(16, max_packet=100)
    assert len(packets) == 16
    receiver = H264Depacketizer()
    kept = [packet for n, packet in enumerate(packets) if n not in lost]
    found = [each.rtp_timestamp // 3600 for each in take(receiver, *kept)]
    expected, broken = [], False
    for n in range(16):
        if n in lost:
            broken = True
        elif n - 1 in lost:
            pass  # what was lost may have been its beginning
        elif not broken or n % 4 == 0:
            broken = False
            expected.append(n)
    assert found == expected
    assert receiver.lost_packets == len(lost)


def test_a_unit_after_a_loss_says_so() -> None:
    packets = packets_of(9, max_packet=100)
    found = take(H264Depacketizer(), *packets[:2], *packets[3:])
    assert [(each.rtp_timestamp // 3600, each.after_loss) for each in found] == [
        (0, False),
        (1, False),
        (4, True),
        (5, False),
        (6, False),
        (7, False),
        (8, False),
    ]


def test_a_stream_may_begin_without_a_keyframe() -> None:
    packets = packets_of(3, max_packet=100)
    assert len(take(H264Depacketizer(), *packets[1:])) == 2


def test_without_markers_the_time_stamp_ends_a_unit() -> None:
    packets = [bytes((p[0], p[1] & 0x7F)) + p[2:] for p in packets_of(3)]
    receiver = H264Depacketizer()
    assert len(take(receiver, *packets)) == 2
    receiver.flush()
    last = receiver.pull()
    assert last is not None
    assert last.data == h264.prefixed([DELTA])


def test_time_stamps_and_sequence_numbers_wrap() -> None:
    packetizer = H264Packetizer(96, 1, first_sequence=0xFFFE)
    receiver = H264Depacketizer()
    found = []
    for n in range(5):
        sent = unit(KEY, pts=n)
        found += take(receiver, *packetizer.packetize(sent, (1 << 32) - 2 + n))
    assert [each.rtp_timestamp for each in found] == [(1 << 32) - 2, (1 << 32) - 1, 0, 1, 2]
    assert receiver.lost_packets == 0


def test_parameter_sets_of_the_sdp_come_with_the_first_unit_and_changes_when_they_happen() -> None:
    receiver = H264Depacketizer(parameter_sets=SETS)
    other_sets = clip(size="64x48").parameter_sets
    old = H264Packetizer(96, 1, parameter_sets=SETS)
    first, second = unit(KEY), unit(KEY, pts=1)
    found = take(receiver, *old.packetize(first, 0), *old.packetize(second, 1))
    new = H264Packetizer(96, 1, parameter_sets=other_sets, first_sequence=2 * 2)
    found += take(receiver, *new.packetize(unit(KEY, pts=2), 2))
    assert [each.parameter_sets for each in found] == [SETS, None, other_sets]


def test_delimiters_fillers_and_sets_are_left_out_also_as_fragments() -> None:
    big_filler = b"\x0c" + bytes(300)
    sent = unit(b"\x09\xf0", *SETS, b"\x06\x05", KEY, big_filler)
    packets = H264Packetizer(96, 1, max_packet=100).packetize(sent, 0)
    (found,) = take(H264Depacketizer(), *packets)
    assert found.data == h264.prefixed([b"\x06\x05", KEY])
    assert found.parameter_sets == SETS


def raw(payload: bytes, sequence: int, *, timestamp: int = 0, marker: bool = False) -> bytes:
    return build(Packet(96, sequence, timestamp, 1, marker, payload))


@pytest.mark.parametrize(
    "payload",
    [
        b"\x1c\x05data",  # a fragment without its start
        b"\x1c\x85",  # without content
        b"\x18\x00",  # half a length
        b"\x18\x00\x00\x00",  # a NAL unit of no bytes
        b"\x18\x00\x09\x65",  # longer than its packet
        b"\x19\x00\x00\x00\x00",  # STAP-B
        b"\x00\x00",
        b"\x1c\xc0x",  # a fragmented NAL unit of type 0
        b"\x67",  # an SPS without an id
        b"\x68",
    ],
)
def test_malformed_payloads_break_their_unit_and_nothing_else(payload: bytes) -> None:
    receiver = H264Depacketizer()
    bad = [raw(KEY, 0), raw(payload, 1), raw(DELTA, 2, marker=True)]
    good = [raw(DELTA, 3, timestamp=1, marker=True), raw(KEY, 4, timestamp=2, marker=True)]
    (found,) = take(receiver, *bad, *good)
    assert (found.rtp_timestamp, found.after_loss) == (2, True)
    assert (receiver.malformed_packets, receiver.dropped_units) == (1, 2)


def test_a_fragment_without_its_end_breaks_its_unit() -> None:
    receiver = H264Depacketizer()
    start = b"\x7c\x85abc"
    later = raw(KEY, 1, timestamp=1, marker=True)
    assert [each.rtp_timestamp for each in take(receiver, raw(start, 0), later)] == [1]
    receiver = H264Depacketizer()
    found = take(receiver, raw(start, 0), raw(DELTA, 1, marker=True), later)
    assert receiver.malformed_packets == 1
    assert [each.rtp_timestamp for each in found] == []


def test_limits() -> None:
    receiver = H264Depacketizer(max_unit=100)
    found = take(receiver, *(raw(KEY, n) for n in range(5)), raw(KEY, 5, marker=True))
    assert found == []
    assert receiver.dropped_units == 1
    receiver = H264Depacketizer(max_waiting=2)
    for n in range(4):
        receiver.push(raw(KEY, n, timestamp=n, marker=True))
    assert receiver.dropped_units == 2


@given(st.lists(st.binary(max_size=30), max_size=10), st.binary(max_size=30))
def test_push_never_raises(payloads: list[bytes], junk: bytes) -> None:
    receiver = H264Depacketizer(ntp64_id=1)
    for n, payload in enumerate(payloads):
        take(receiver, raw(payload, n, timestamp=n // 3, marker=n % 4 == 3), junk)
        take(receiver, raw(b"\x7c" + payload, n))
    receiver.flush()
    while (found := receiver.pull()) is not None:
        assert sum(4 + len(nal) for nal in h264.nals(found.data)) == len(found.data)


def test_the_packetizer_refuses_what_it_cannot_send() -> None:
    for size in (63, 65_536):
        with pytest.raises(PayloadError):
            H264Packetizer(96, 1, max_packet=size)
    for number in (0, 15):
        with pytest.raises(PayloadError):
            H264Packetizer(96, 1, ntp64_id=number)
    with pytest.raises(PayloadError):
        H264Packetizer(128, 1)
    with pytest.raises(BitstreamError):
        H264Packetizer(96, 1).packetize(AccessUnit(b"\0\0\0\5x", 0, 0, False, 0), 0)


def test_formats_are_found_by_name() -> None:
    assert depacketizer("h264", SETS, None) is not None
    assert depacketizer("VP8", (), None) is None


def test_what_an_sdp_has_wrong_is_passed_over() -> None:
    wrong = (b"", b"\x67", b"\x06\x05\x04\x03", *SETS)
    receiver = H264Depacketizer(parameter_sets=wrong)
    (found,) = take(receiver, raw(KEY, 0, marker=True))
    assert found.parameter_sets == SETS


def test_a_unit_cut_off_by_the_streams_end_is_dropped() -> None:
    receiver = H264Depacketizer()
    take(receiver, raw(KEY, 0, marker=True), raw(DELTA, 1, timestamp=1))
    receiver.flush()
    assert receiver.pull() is None
    assert receiver.dropped_units == 1


def test_the_set_that_a_keyframe_goes_by_comes_first() -> None:
    """A camera that changes its picture may give the new SPS an id of its own."""
    small, large = clip(options="sps-id=0"), clip(options="sps-id=1", size="640x360")
    receiver = H264Depacketizer(parameter_sets=small.parameter_sets)
    packetizer = H264Packetizer(96, 1, parameter_sets=large.parameter_sets)
    (found,) = take(receiver, *packetizer.packetize(large.units[0], 0))
    assert found.parameter_sets is not None
    assert len(found.parameter_sets) == 4
    track = VideoTrack.h264(found.parameter_sets)
    assert (track.width, track.height) == (640, 360)
