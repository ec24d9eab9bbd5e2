from collections.abc import Iterator

import pytest

from storage.helpers import START_US, track, units
from ucam.rtp.h264 import H264Packetizer
from ucam.rtp.rtcp import SenderReport, build_sender_report
from ucam.rtsp.sdp import Media
from ucam.storage.stream import Arrived, Stream

SETS = track().parameter_sets
MEDIA = Media("video", 96, "H264", 90_000, ntp64_id=1)


def packets(count: int, *, first: int = 0, sets: bool = True) -> Iterator[list[bytes]]:
    """The packets of each access unit, with capture times."""
    packetizer = H264Packetizer(
        96, 1234, max_packet=1400, ntp64_id=1, parameter_sets=SETS if sets else ()
    )
    for unit in units(count, first=first):
        yield packetizer.packetize(unit, unit.pts_90k)


def feed(stream: Stream, sent: Iterator[list[bytes]], now_us: int = START_US) -> list[Arrived]:
    return [arrived for unit in sent for packet in unit for arrived in stream.rtp(packet, now_us)]


def test_what_was_sent_arrives_with_its_number_and_time() -> None:
    found = feed(Stream(MEDIA, SETS, first_number=40), packets(60))
    assert [each.unit.number for each in found] == list(range(40, 100))
    for each, sent in zip(found, units(60), strict=True):
        assert each.unit.data == sent.data
        assert abs(each.unit.utc_us - sent.utc_us) <= 1
        assert each.unit.keyframe == sent.keyframe
        assert not each.stepped
        assert each.track == track()


def test_it_may_begin_between_keyframes() -> None:
    """As a camera does that goes on where storage was interrupted."""
    sent = list(packets(60))[13:]
    found = feed(Stream(MEDIA, SETS, first_number=13), iter(sent))
    assert [each.unit.number for each in found] == list(range(13, 60))


def test_parameter_sets_may_come_in_the_stream() -> None:
    stream = Stream(MEDIA, (), first_number=0)
    found = feed(stream, packets(30))
    assert len(found) == 30
    assert found[0].track == track()


def test_without_any_description_nothing_can_be_kept() -> None:
    stream = Stream(MEDIA, (), first_number=0)
    assert feed(stream, packets(30, sets=False)) == []
    assert stream.undescribed == 30


def test_what_is_lost_takes_numbers() -> None:
    sent = list(packets(60))
    del sent[30]
    stream = Stream(MEDIA, SETS, first_number=0)
    found = feed(stream, iter(sent))
    assert stream.lost_packets >= 1
    numbers = [each.unit.number for each in found]
    assert numbers[:30] == list(range(30))
    # Nothing of use before the next keyframe, and no number is given twice.
    assert found[30].unit.keyframe
    assert numbers[30] > 30
    assert len(set(numbers)) == len(numbers)


def test_a_sender_report_gives_the_time_where_packets_have_none() -> None:
    plain = Media("video", 96, "H264", 90_000)
    stream = Stream(plain, SETS, first_number=0)
    packetizer = H264Packetizer(96, 1234, parameter_sets=SETS)
    report = SenderReport(1234, START_US, 0, 1, 1)
    stream.rtcp(build_sender_report(report, "camera"))
    sent = (packetizer.packetize(unit, unit.pts_90k) for unit in units(30))
    found = feed(stream, sent, now_us=START_US + 700_000)
    assert [each.unit.utc_us for each in found] == [unit.utc_us for unit in units(30)]


def test_reports_that_make_no_sense_are_counted() -> None:
    stream = Stream(MEDIA, SETS, first_number=0)
    stream.rtcp(b"\x80\xc8\xff\xff")
    stream.rtcp(b"")
    assert stream.bad_reports >= 1


def test_what_can_not_be_taken_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="MP2T"):
        Stream(Media("video", 33, "MP2T", 90_000), (), 0)
