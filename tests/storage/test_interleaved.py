from hypothesis import given
from hypothesis import strategies as st

from ucam.rtp.packet import Packet, build
from ucam.rtp.rtcp import SenderReport, build_sender_report, sender_reports
from ucam.storage.interleaved import RTPHead, Splice, frame, frames, heads, joined, moved, spliced

packets = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40)), max_size=8)


def rtp(sequence: int, timestamp: int, ssrc: int = 1) -> bytes:
    return build(Packet(96, sequence, timestamp, ssrc, payload=b"x"))


@given(packets)
def test_packets_come_back_from_their_bytes(given: list[tuple[int, bytes]]) -> None:
    data = joined([(channel, memoryview(packet)) for channel, packet in given])
    assert data == b"".join(frame(channel, packet) for channel, packet in given)
    assert [(c, data[start:stop]) for c, start, stop in frames(data)] == given
    swapped = {0: 1, 1: 0, 2: 2}
    assert moved(data, swapped) == b"".join(
        frame(swapped[channel], packet) for channel, packet in given if channel in swapped
    )


def test_the_first_and_the_last_head_of_each_channel() -> None:
    data = frame(1, b"rtcp") + frame(0, rtp(7, 70)) + frame(0, rtp(8, 80)) + frame(2, rtp(9, 90))
    wanted = frozenset((0, 2, 4))
    assert heads(data, wanted) == {0: RTPHead(7, 70, 1), 2: RTPHead(9, 90, 1)}
    assert heads(data, wanted, last=True)[0] == RTPHead(8, 80, 1)
    assert heads(frame(0, b"short"), wanted) == {}


def test_a_new_publisher_goes_on_where_the_old_one_ended() -> None:
    splice = Splice.between(RTPHead(65_535, 0xFFFFFFFF, 7), RTPHead(500, 1000, 9), 45_000)
    report = build_sender_report(SenderReport(9, 1_000_000, 1500, 1, 1), "ucam")
    data = frame(0, rtp(500, 1000, 9)) + frame(1, report) + frame(2, rtp(1, 1, 5)) + frame(0, b"")
    found = spliced(data, {0: splice}, {1: splice})
    places = list(frames(found))
    assert heads(found, frozenset((0, 2))) == {0: RTPHead(0, 44_999, 7), 2: RTPHead(1, 1, 5)}
    _, start, stop = places[1]
    (changed,) = sender_reports(found[start:stop])
    assert changed == SenderReport(7, 1_000_000, 45_499, 1, 1)
    assert found[start + 28 + 4 : start + 28 + 8] == (7).to_bytes(4), "the CNAME's, too"


@given(st.binary(max_size=60))
def test_broken_reports_raise_nothing(data: bytes) -> None:
    framed = frame(1, data)
    assert len(spliced(framed, {}, {1: Splice(1, 2, 3)})) == len(framed)
