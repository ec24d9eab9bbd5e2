"""Live streams for players: a publisher's packets as they came, the newest keyframe first.

A `Feed` is one device's stream. Its `Source` is the publisher's connection; its `Reader`s are the
players'. When the publisher connects anew, readers stay: their stream goes on with the next
sequence number and a later time stamp, under the same SSRC.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ucam.rtp.rtcp import SenderReport, build_sender_report
from ucam.storage.interleaved import (
    Bytes,
    RTPHead,
    Splice,
    behind,
    frame,
    heads,
    joined,
    moved,
    spliced,
)
from ucam.storage.layout import Place

_log = logging.getLogger(__name__)

# The current group of pictures of one device: a longer one isn't kept, players then wait for the
# next keyframe.
MOST_GROUP_BYTES = 8 << 20
MOST_READERS = 128  # of all devices
# What one player may have waiting, beside the group that it got first. A slower one is dropped.
MOST_BACKLOG_BYTES = 4 << 20
# So long do readers wait for a publisher to connect anew.
AWAY_S = 60.0
REPORT_EVERY_US = 5_000_000


@dataclass(frozen=True, slots=True)
class Channels:
    """One track of a publisher: its channels, its clock rate, what its SDP calls it."""

    rtp: int
    rtcp: int
    clock_rate: int
    kind: str
    payload_type: int
    encoding: str

    @property
    def format(self) -> tuple[str, int, str, int]:
        """What must stay for a player to go on."""
        return self.kind, self.payload_type, self.encoding, self.clock_rate


class Ended(NamedTuple):
    """An access unit of the leading track that became whole with `packet`."""

    packet: memoryview
    keyframe: bool
    pts_90k: int
    utc_us: int


@dataclass(eq=False, slots=True)
class Reader:
    """A player that plays. `channels`: its own (RTP, RTCP) by track. `write` takes interleaved
    packets, `backlog` says how many bytes wait, `end` closes its connection at once.
    """

    channels: dict[int, tuple[int, int]]
    write: Callable[[Bytes], None]
    backlog: Callable[[], int]
    end: Callable[[str], None]
    waiting: bool = False  # for the next keyframe
    most_backlog: int = MOST_BACKLOG_BYTES
    table: tuple[tuple[int, int], ...] | None = None  # None: the publisher's channels as they are


class Source:
    """A publisher's side of a feed; of no effect once another publisher has come."""

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed

    @property
    def watched(self) -> bool:
        """Whether somebody plays it now."""
        return bool(self._feed.readers)

    def media(
        self,
        packets: list[tuple[int, memoryview]],
        raw: Bytes | None,
        ended: list[Ended],
        now_us: int,
    ) -> None:
        """Packets in order; `raw`: the same bytes with their heads, if there are such. `ended`: the
        access units of the leading track that became whole with them.
        """
        if self._feed.source is self:
            self._feed.media(packets, raw, ended, now_us)

    def report(self, channel: int, packet: memoryview) -> None:
        """An RTCP packet that is among the media that come next."""
        if self._feed.source is self:
            self._feed.report(channel, packet)

    def end(self, now_s: float) -> None:
        """The publisher is gone."""
        if self._feed.source is self:
            self._feed.end_source(now_s)


@dataclass(eq=False, slots=True)
class _Group:
    """The bytes since the newest keyframe, and what has come since they were last sent.

    Positions count all bytes since the publisher began.
    """

    kept: deque[Bytes] = field(default_factory=deque)
    begin: int = 0  # position of the first byte kept
    end: int = 0
    pending: list[Bytes] = field(default_factory=list)
    whole: bool = False  # kept begins with a keyframe

    def add(self, data: Bytes) -> None:
        self.pending.append(data)
        self.end += len(data)

    def take_pending(self) -> Bytes:
        """What is to be sent now; it is kept from now on."""
        pending, self.pending = self.pending, []
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        self.kept.append(data)
        if self.end - self.begin > MOST_GROUP_BYTES:
            self.kept.clear()
            self.kept.append(data)  # it says where the stream stands
            self.begin, self.whole = self.end - len(data), False
        return data

    def cut(self, position: int) -> None:
        """The newest keyframe begins here."""
        if position < self.begin:
            return
        while self.kept and self.begin + len(self.kept[0]) <= position:
            self.begin += len(self.kept.popleft())
        if self.kept and position > self.begin:
            self.kept[0] = memoryview(self.kept[0])[position - self.begin :]
            self.begin = position
        self.whole = True

    def read(self) -> bytes:
        return b"".join(self.kept)


class Feed:
    """One device's live stream."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.readers: set[Reader] = set()
        self.source: Source | None = None
        self.description = b""
        self.tracks: tuple[Channels, ...] = ()
        self.away_since_s = 0.0
        self._leading = 0
        self._group = _Group()
        self._unit_begin = 0
        self._reports: dict[int, bytes] = {}  # the newest by track, framed for its channel
        self._report_due_us = 0
        self._publisher_reports = False
        self._ssrc: int | None = None
        self._packets = 0
        # Where the stream stood when the publisher before this one ended, by track.
        self._old: dict[int, tuple[RTPHead, int]] = {}
        self._rtp_splices: dict[int, Splice] = {}
        self._rtcp_splices: dict[int, Splice] = {}
        self._last_us = 0

    # The publisher's side

    def begin_source(self, description: bytes, tracks: tuple[Channels, ...]) -> Source:
        """A publisher begins. Readers of the one before go on if they can."""
        if self.source is not None:
            self.end_source(self.away_since_s)
        formats = [track.format for track in tracks]
        if self.readers and formats != [track.format for track in self.tracks]:
            for reader in list(self.readers):
                self.drop(reader, "the camera has changed what it sends")
        if not self.readers:
            self._old.clear()
        self.description, self.tracks = description, tracks
        # The track whose access units part the stream: video, if there is any.
        kinds = [track.kind for track in tracks]
        self._leading = kinds.index("video") if "video" in kinds else 0
        self._group = _Group()
        self._unit_begin = self._report_due_us = self._packets = 0
        self._publisher_reports = False
        self._ssrc = None
        self._reports.clear()
        self._rtp_splices.clear()
        self._rtcp_splices.clear()
        for reader in self.readers:
            reader.table = self._table(reader)
        self.source = Source(self)
        return self.source

    def end_source(self, now_s: float) -> None:
        """The publisher is gone; what it has begun to send isn't sent any more."""
        self.source = None
        self.away_since_s = now_s
        channels = frozenset(track.rtp for track in self.tracks)
        last = heads(self._group.read(), channels, last=True) if self.readers else {}
        for number, track in enumerate(self.tracks):
            if track.rtp in last:
                self._old[number] = (last[track.rtp], self._last_us)
        self._group = _Group()

    def media(
        self,
        packets: list[tuple[int, memoryview]],
        raw: Bytes | None,
        ended: list[Ended],
        now_us: int,
    ) -> None:
        """See `Source.media`."""
        data = joined(packets) if raw is None else raw
        if self._old or self._rtp_splices:
            data = self._spliced(data, now_us)
        group, begin = self._group, self._group.end
        group.add(data)
        self._packets += len(packets)
        if not ended:
            return
        self._last_us = now_us
        cut: int | None = None
        last = len(ended) - 1
        for place, unit in enumerate(ended):
            if unit.keyframe:
                cut = self._unit_begin
            # Where the others end, nobody asks.
            if place == last or ended[place + 1].keyframe:
                self._unit_begin = begin + behind(packets, unit.packet)
        if ended[-1].utc_us >= self._report_due_us and not self._publisher_reports:
            self._report_ourselves(ended[-1])
        pending = group.take_pending()
        if self.readers:
            self._send(pending)
        if cut is not None:
            group.cut(cut)
            for reader in [each for each in self.readers if each.waiting]:
                self._start(reader)

    def report(self, channel: int, packet: memoryview) -> None:
        """See `Source.report`."""
        for number, track in enumerate(self.tracks):
            if track.rtcp == channel:
                self._publisher_reports = True
                if number in self._old:
                    return  # what it must become isn't known before the first packet
                framed = frame(channel, packet)
                self._reports[number] = spliced(framed, {}, self._rtcp_splices)

    def _spliced(self, data: Bytes, now_us: int) -> bytes:
        """The publisher's packets as those of the one before."""
        if self._old:
            by_channel = {track.rtp: number for number, track in enumerate(self.tracks)}
            wanted = frozenset(track.rtp for n, track in enumerate(self.tracks) if n in self._old)
            for channel, head in heads(data, wanted).items():
                number = by_channel[channel]
                track = self.tracks[number]
                old, last_us = self._old.pop(number)
                ticks = (now_us - last_us) * track.clock_rate // 1_000_000
                splice = Splice.between(old, head, ticks)
                self._rtp_splices[track.rtp] = self._rtcp_splices[track.rtcp] = splice
        return spliced(data, self._rtp_splices, self._rtcp_splices)

    def _report_ourselves(self, unit: Ended) -> None:
        """A publisher that sends no reports has capture times in its packets: for players that
        don't read those there is a report at the beginning, and from time to time.
        """
        if len(unit.packet) < 12:
            return
        self._report_due_us = unit.utc_us + REPORT_EVERY_US
        number, track = self._leading, self.tracks[self._leading]
        splice = self._rtp_splices.get(track.rtp)
        ssrc = int.from_bytes(unit.packet[8:12]) if splice is None else splice.ssrc
        ahead = 0 if splice is None else splice.timestamp_ahead
        timestamp = (unit.pts_90k + ahead) & 0xFFFFFFFF
        report = SenderReport(ssrc, unit.utc_us, timestamp, self._packets, self._group.end)
        framed = frame(track.rtcp, build_sender_report(report, "ucam"))
        self._reports[number] = framed
        self._group.add(framed)

    def _send(self, data: Bytes) -> None:
        moved_for: dict[tuple[tuple[int, int], ...], bytes] = {}
        for reader in list(self.readers):
            if reader.waiting:
                continue
            if reader.backlog() > reader.most_backlog:
                self.drop(reader, "it is too slow")
            elif reader.table is None:
                reader.write(data)
            else:
                if reader.table not in moved_for:
                    moved_for[reader.table] = moved(data, dict(reader.table))
                if theirs := moved_for[reader.table]:
                    reader.write(theirs)

    # The players' side

    def starts(self, channels: dict[int, tuple[int, int]]) -> list[tuple[int, int, int]]:
        """Track, sequence number and time stamp with which a player begins, where they are known.

        `channels`: of the tracks that it has set up.
        """
        if not self._group.whole:
            return []
        by_channel = {track.rtp: n for n, track in enumerate(self.tracks) if n in channels}
        found = heads(self._group.read(), frozenset(by_channel))
        return sorted((by_channel[c], head.sequence, head.timestamp) for c, head in found.items())

    def join(self, reader: Reader, *, group_first: bool = True) -> None:
        """Begin to send. Without a group of pictures it begins at the next keyframe."""
        reader.table = self._table(reader)
        reader.waiting = True
        self.readers.add(reader)
        if group_first and self._group.whole:
            self._start(reader)

    def leave(self, reader: Reader) -> None:
        """It plays no more."""
        self.readers.discard(reader)

    def drop(self, reader: Reader, reason: str) -> None:
        """End its connection."""
        self.readers.discard(reader)
        reader.end(reason)

    def _start(self, reader: Reader) -> None:
        reader.waiting = False
        reports = b"".join(self._reports.values())
        data = reports + self._group.read()
        reader.most_backlog = MOST_BACKLOG_BYTES + len(data)
        reader.write(data if reader.table is None else moved(data, dict(reader.table)))

    def _table(self, reader: Reader) -> tuple[tuple[int, int], ...] | None:
        """The reader's channels by the publisher's; None where they are the same."""
        pairs: list[tuple[int, int]] = []
        for number, track in enumerate(self.tracks):
            if (own := reader.channels.get(number)) is not None:
                pairs += ((track.rtp, own[0]), (track.rtcp, own[1]))
        whole = len(pairs) == 2 * len(self.tracks)
        return None if whole and all(a == b for a, b in pairs) else tuple(pairs)


class Live:
    """All devices' live streams."""

    def __init__(self) -> None:
        self._feeds: dict[Place, Feed] = {}

    def publish(self, place: Place, description: bytes, tracks: tuple[Channels, ...]) -> Source:
        """A publisher begins to send."""
        feed = self._feeds.setdefault(place, Feed(place))
        return feed.begin_source(description, tracks)

    def find(self, place: Place) -> Feed | None:
        """The stream of a device that publishes now."""
        feed = self._feeds.get(place)
        return feed if feed is not None and feed.source is not None else None

    @property
    def full(self) -> bool:
        """Whether there is no room for another player."""
        return sum(len(feed.readers) for feed in self._feeds.values()) >= MOST_READERS

    def tick(self, now_s: float) -> None:
        """Once a second: players of a device that doesn't come back are sent away."""
        for place, feed in list(self._feeds.items()):
            if feed.source is not None:
                continue
            if now_s - feed.away_since_s > AWAY_S:
                for reader in list(feed.readers):
                    feed.drop(reader, "the camera has gone")
            if not feed.readers:
                del self._feeds[place]
