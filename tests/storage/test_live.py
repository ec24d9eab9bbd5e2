"""Live streams without sockets: what each player is sent."""

from dataclasses import dataclass, field

import pytest

from storage.helpers import PLACE
from ucam.rtp.packet import Packet, build
from ucam.rtp.rtcp import SenderReport, build_sender_report, sender_reports
from ucam.storage import live
from ucam.storage.interleaved import Bytes, frame, frames, heads
from ucam.storage.live import Channels, Ended, Feed, Live, Reader, Source

VIDEO = Channels(0, 1, 90_000, "video", 96, "H264")
AUDIO = Channels(2, 3, 48_000, "audio", 97, "OPUS")
START_US = 1_795_325_400_000_000


@dataclass
class Player:
    """A player's connection."""

    sent: list[bytes] = field(default_factory=list)
    waiting: int = 0
    ended: list[str] = field(default_factory=list)

    def reader(self, channels: dict[int, tuple[int, int]] | None = None) -> Reader:
        def write(data: Bytes) -> None:
            self.sent.append(bytes(data))

        return Reader(channels or {0: (0, 1)}, write, lambda: self.waiting, self.ended.append)

    def packets(self, channel: int = 0) -> list[bytes]:
        data = b"".join(self.sent)
        return [data[start:stop] for found, start, stop in frames(data) if found == channel]

    def sequences(self, channel: int = 0) -> list[int]:
        return [int.from_bytes(packet[2:4]) for packet in self.packets(channel)]


@dataclass
class Camera:
    """A publisher that sends pictures of two packets, 25 a second, each in one piece of bytes."""

    source: Source
    sequence: int = 100
    ssrc: int = 0xCAFE
    timestamp: int = 0
    marker: bool = True
    now_us: int = START_US

    def rtp(self, marker: bool, size: int = 10) -> bytes:
        self.sequence += 1
        packet = Packet(
            96,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
            marker,
            bytes(size),
        )
        return build(packet)

    def picture(self, *, keyframe: bool = False, size: int = 10) -> bytes:
        """Returns the bytes that were sent."""
        self.timestamp += 3600
        self.now_us += 40_000
        first, last = self.rtp(False, size), self.rtp(self.marker, size)
        raw = frame(0, first) + frame(0, last)
        packets = [(0, memoryview(first)), (0, memoryview(last))]
        ended = Ended(packets[1][1], keyframe, self.timestamp, self.now_us)
        self.source.media(packets, raw, [ended], self.now_us)
        return raw

    def report(self) -> None:
        info = SenderReport(self.ssrc, self.now_us, self.timestamp & 0xFFFFFFFF, 1, 1)
        packet = memoryview(build_sender_report(info, "camera"))
        self.source.report(1, packet)
        self.source.media([(1, packet)], None, [], self.now_us)


@pytest.fixture
def feed() -> Feed:
    return Feed(PLACE)


@pytest.fixture
def camera(feed: Feed) -> Camera:
    return Camera(feed.begin_source(b"sdp", (VIDEO,)))


def test_the_newest_keyframes_group_comes_first_and_then_what_comes(
    feed: Feed, camera: Camera
) -> None:
    camera.picture(keyframe=True)
    camera.picture()
    camera.picture(keyframe=True)
    camera.picture()
    player = Player()
    reader = player.reader()
    assert feed.starts(reader.channels) == [(0, 105, 3 * 3600)]
    feed.join(reader)
    assert player.sequences() == [105, 106, 107, 108]
    raw = camera.picture()
    assert player.sent[1:] == [raw], "as it came, in one write"
    feed.leave(reader)
    camera.picture()
    assert len(player.sent) == 2


def test_without_a_group_it_begins_at_the_next_keyframe(feed: Feed, camera: Camera) -> None:
    camera.picture(keyframe=True)
    player = Player()
    feed.join(player.reader(), group_first=False)
    camera.picture()
    assert player.sent == []
    camera.picture(keyframe=True)
    camera.picture()
    assert player.sequences() == [105, 106, 107, 108]


def test_a_packet_without_marker_belongs_to_the_picture_that_it_begins(feed: Feed) -> None:
    camera = Camera(feed.begin_source(b"sdp", (VIDEO,)), marker=False)
    for keyframe in (False, False, True, False):
        # The picture before becomes whole with the first packet of the next.
        camera.timestamp += 3600
        packet = memoryview(camera.rtp(False))
        ended = Ended(packet, keyframe, camera.timestamp, camera.now_us)
        camera.source.media([(0, packet)], None, [ended], camera.now_us)
    player = Player()
    feed.join(player.reader())
    assert player.sequences() == [102, 103, 104]


def test_the_first_report_tells_a_player_the_time(feed: Feed, camera: Camera) -> None:
    """ucam's own sender writes none: capture times stand in its packets."""
    camera.picture(keyframe=True)
    camera.picture()
    player = Player()
    feed.join(player.reader())
    (report, *_) = player.packets(1)
    (found,) = sender_reports(report)
    assert (found.ssrc, found.rtp_timestamp) == (0xCAFE, 3600)
    assert abs(found.utc_us - START_US - 40_000) <= 1
    camera.now_us += 6_000_000
    camera.picture()
    assert len(player.packets(1)) == 3, "the stored one, the group's, and after 5 s another"


def test_the_publishers_own_reports_are_passed_on(feed: Feed, camera: Camera) -> None:
    camera.report()
    camera.picture(keyframe=True)
    camera.now_us += 10_000_000
    camera.picture()
    player = Player()
    feed.join(player.reader())
    assert {sender_reports(each)[0].utc_us // 10 for each in player.packets(1)} == {START_US // 10}


def test_other_channels_and_fewer_tracks(feed: Feed) -> None:
    camera = Camera(feed.begin_source(b"sdp", (VIDEO, AUDIO)))
    both, video, sound = Player(), Player(), Player()
    sound_packet = memoryview(build(Packet(97, 5, 6, 7, payload=b"sound")))
    camera.picture(keyframe=True)
    camera.source.media([(2, sound_packet)], None, [], camera.now_us)
    camera.picture()
    reader = video.reader({0: (6, 7)})
    assert feed.starts(reader.channels) == [(0, 101, 3600)]
    for each in (both.reader({0: (2, 3), 1: (0, 1)}), reader, sound.reader({1: (2, 3)})):
        feed.join(each)
    assert feed.starts({0: (2, 3), 1: (0, 1)}) == [(0, 101, 3600), (1, 5, 6)]
    camera.picture()
    assert (both.sequences(2), both.sequences(0)) == ([101, 102, 103, 104, 105, 106], [5])
    assert (video.sequences(6), len(video.packets(2))) == ([101, 102, 103, 104, 105, 106], 0)
    assert sound.sequences(2) == [5]


def test_a_player_that_is_too_slow_is_dropped_and_nobody_waits(feed: Feed, camera: Camera) -> None:
    camera.picture(keyframe=True)
    slow, quick = Player(), Player()
    feed.join(slow.reader())
    feed.join(quick.reader())
    slow.waiting = live.MOST_BACKLOG_BYTES + 1000
    raw = camera.picture()
    assert slow.ended == ["it is too slow"]
    assert len(slow.sent) == 1
    assert quick.sent[-1] == raw
    assert len(feed.readers) == 1


def test_a_group_that_is_too_long_is_not_kept(
    feed: Feed, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_GROUP_BYTES", 1000)
    camera.picture(keyframe=True)
    for _ in range(5):
        camera.picture(size=200)
    player = Player()
    feed.join(player.reader())
    assert feed.starts({0: (0, 1)}) == []
    assert player.sent == []
    camera.picture(keyframe=True)
    assert player.sequences() == [113, 114]


def test_a_publisher_that_comes_back_goes_on_in_its_players(feed: Feed, camera: Camera) -> None:
    camera.picture(keyframe=True)
    player, late = Player(), Player()
    feed.join(player.reader())
    old = camera.source
    old.end(1.0)
    again = Camera(
        feed.begin_source(b"sdp", (Channels(4, 5, 90_000, "video", 96, "H264"),)),
        sequence=65_534,
        ssrc=0xBEEF,
        timestamp=0xFFFFFFFF,
        now_us=START_US + 2_000_000,
    )
    camera.picture()  # of the old connection: not any more
    assert len(player.packets()) == 2
    again.timestamp += 3600
    for keyframe in (True, False):
        first, last = memoryview(again.rtp(False)), memoryview(again.rtp(True))
        ended = Ended(last, keyframe, again.timestamp, again.now_us)
        again.source.media([(4, first), (4, last)], None, [ended], again.now_us)
        again.timestamp += 3600
        again.now_us += 40_000
    feed.join(late.reader())
    assert player.sequences() == [101, 102, 103, 104, 105, 106]
    times = [int.from_bytes(packet[4:8]) for packet in player.packets()]
    assert times[2] - times[1] == (2_000_000 - 40_000) * 9 // 100
    assert times[4] - times[3] == 3600
    assert {packet[8:12] for packet in player.packets()} == {(0xCAFE).to_bytes(4)}
    assert late.sequences() == [103, 104, 105, 106]
    assert player.ended == []
    (report,) = {bytes(each) for each in late.packets(1)}
    assert sender_reports(report)[0].ssrc == 0xCAFE
    assert sender_reports(report)[0].rtp_timestamp == times[2]


def test_another_codec_ends_what_players_were_told(feed: Feed, camera: Camera) -> None:
    camera.picture(keyframe=True)
    player = Player()
    feed.join(player.reader())
    feed.begin_source(b"sdp", (Channels(0, 1, 90_000, "video", 96, "H265"),))
    assert player.ended == ["the camera has changed what it sends"]
    assert not feed.readers


def test_who_publishes_and_how_long_players_wait() -> None:
    all_feeds = Live()
    assert all_feeds.find(PLACE) is None
    source = all_feeds.publish(PLACE, b"sdp", (VIDEO,))
    feed = all_feeds.find(PLACE)
    assert feed is not None
    player = Player()
    feed.join(player.reader())
    source.end(100.0)
    assert all_feeds.find(PLACE) is None
    all_feeds.tick(100.0 + live.AWAY_S)
    assert player.ended == []
    all_feeds.tick(101.0 + live.AWAY_S)
    assert player.ended == ["the camera has gone"]
    all_feeds.publish(PLACE, b"sdp", (VIDEO,))
    assert all_feeds.find(PLACE) is not feed


def test_places_for_players_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_READERS", 1)
    all_feeds = Live()
    all_feeds.publish(PLACE, b"sdp", (VIDEO,))
    feed = all_feeds.find(PLACE)
    assert feed is not None
    assert not all_feeds.full
    feed.join(Player().reader())
    assert all_feeds.full


def test_heads_of_what_players_get_are_whole(feed: Feed, camera: Camera) -> None:
    """The group begins with the keyframe's first packet, wherever the bytes were split."""
    camera.picture()
    first, last = memoryview(camera.rtp(False)), memoryview(camera.rtp(True))
    next_first, next_last = memoryview(camera.rtp(False)), memoryview(camera.rtp(True))
    packets = [(0, first), (0, last), (0, next_first)]
    ended = [Ended(last, False, 1, 1)]
    camera.source.media(packets, None, ended, camera.now_us)
    camera.source.media([(0, next_last)], None, [Ended(next_last, True, 2, 2)], camera.now_us)
    player = Player()
    feed.join(player.reader())
    assert player.sequences() == [105, 106]
    assert heads(player.sent[0], frozenset((0,)))[0].sequence == 105
