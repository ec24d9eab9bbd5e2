"""One RTSPS connection: a TLS link on one side, a recording or a live stream on the other."""

import logging
import os
import secrets
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter

from ucam.base.tokens import Claims
from ucam.rtsp import SDPError
from ucam.rtsp.client import Durable as Position
from ucam.rtsp.client import format_durable
from ucam.rtsp.presentation import presentation
from ucam.rtsp.sdp import RunLine
from ucam.rtsp.server import (
    Announced,
    Closed,
    Decision,
    DescribeRequested,
    Event,
    Media,
    ParameterQuery,
    Paused,
    PlayRequested,
    ServerConnection,
)
from ucam.rtsp.server import (
    Recording as RecordingStarted,
)
from ucam.storage.access import Denied
from ucam.storage.intake import Intake
from ucam.storage.layout import Place
from ucam.storage.link import Link
from ucam.storage.live import Channels, Ended, Reader, Source
from ucam.storage.playing import NOT_FOUND, Playing
from ucam.storage.recording import Recording
from ucam.storage.records import Durable

if TYPE_CHECKING:
    from ucam.storage.ingest import IngestServer

_log = logging.getLogger(__name__)

SESSION_TIMEOUT_S = 30
BEFORE_RECORD_S = 20.0  # to get from the connection to the first media
# Without a packet for so long a run has ended: the gap has its reason, the connection is freed.
SILENCE_S = 10.0
LARGEST_NUMBER = 1 << 62  # SQLite's integers have 63 bits, and numbers go up from here
DISCONNECTED = "the camera was not connected"

LOST = Counter("ucam_storage_lost_packets", "RTP packets that never came, or came broken")


class Connection:
    """One publisher or player, at the end of a `Link`. Owned by `IngestServer`."""

    def __init__(self, server: "IngestServer") -> None:
        self._server = server
        self._rtsp = ServerConnection(os.urandom(16), session_timeout_s=SESSION_TIMEOUT_S)
        self._link: Link | None = None
        self._place: Place | None = None
        self._claims: Claims | None = None
        self._run: RunLine | None = None
        self._intake: Intake | None = None
        self._recording: Recording | None = None
        self._source: Source | None = None
        self._announced: Announced | None = None
        self._playing: Playing | None = None
        self._plays = False
        self._deciding = False
        self.started_s = self._heard_s = self._media_s = time.monotonic()
        self._reason = DISCONNECTED
        self._ended = False
        self._said_goodbye = False
        self._held = False
        self._lost = 0
        self.peer = "?"

    # From the link

    def connected(self, link: Link) -> None:
        """A TLS connection stands."""
        self._link = link
        self.peer = link.peer
        if not self._server.admit(self):
            link.abort()

    def received(self, data: memoryview) -> None:
        """So much has come."""
        self._heard_s = time.monotonic()
        self._handle(data)
        source = self._source
        if source is not None and not source.watched:  # who watches must not wait for it
            assert self._link is not None
            self._link.rest()

    def lost(self) -> None:
        """The socket is gone."""
        self._server.forget(self)
        self._end(self._reason)

    # Events of the session

    def _handle(self, data: memoryview | bytes) -> None:
        for event in self._rtsp.receive(data):
            self._react(event)
            if self._deciding:
                break
        self._send()

    def _send(self) -> None:
        if self._link is not None and (data := self._rtsp.data_to_send()):
            self._link.write(data)

    def _react(self, event: Event) -> None:
        match event:
            case Media():
                self._media(event)
            case RecordingStarted():
                self._started(event)
            case ParameterQuery(authorized=True, names=("durable-until",)) if self._recording:
                durable = self._server.recorder.durable_now().get(self._recording.place)
                self._rtsp.answer(event, _durable_until(durable))
            case PlayRequested():
                self._play(event)
            case Paused() if self._playing is not None:
                self._playing.pause()
            case Announced() | ParameterQuery() | DescribeRequested():
                self._deciding = True
                if self._link is not None:
                    self._link.pause()
                self._server.spawn(self, self._decide(event))
            case Closed():
                self._said_goodbye = True
                _log.info("%s: closed: %s", self.name, ascii(event.reason))
                self._send()
                # Who has said goodbye hangs up first: rtspclientsink 1.22 may wait for ever, or
                # complain, when its socket is gone before it has read the answer.
                self._end(self._reason)
                if self._link is not None:
                    self._link.close_soon()

    @property
    def name(self) -> str:
        """Who it is, for the log."""
        return f"{self.peer} {self._place.jid}" if self._place else self.peer

    async def _decide(self, event: Announced | ParameterQuery | DescribeRequested) -> None:
        try:
            match event:
                case Announced():
                    await self._announce(event)
                case DescribeRequested():
                    await self._described(event)
                case ParameterQuery():
                    await self._asked(event)
        except Denied as denied:
            self._refuse(event, denied)
        self._deciding = False
        if self._link is not None:
            self._link.resume()
        self._handle(b"")

    def _refuse(self, event: Decision, denied: Denied) -> None:
        _log.warning("%s: refused for %r: %s", self.name, event.path[:80], denied)
        # What is absent and what is forbidden look alike; the log knows why.
        text = NOT_FOUND if denied.status == 404 else str(denied)
        self._rtsp.refuse(event, denied.status, text)

    # A player

    async def _described(self, event: DescribeRequested) -> None:
        server = self._server
        playing = self._playing or Playing(self._rtsp, server.live, server.access, server.recorder)
        claims = await playing.describe(event)
        assert playing.place is not None
        self._playing = playing
        self._accept_claims(playing.place, claims)

    def _play(self, event: PlayRequested) -> None:
        assert self._playing is not None
        assert self._link is not None
        player = Reader(event.channels, self._link.write, self._link.backlog, self._dismiss)
        try:
            self._playing.play(event, player)
        except Denied as denied:
            self._refuse(event, denied)
            return
        _log.info("%s: plays (%r)", self.name, event.user_agent[:80])
        self._plays = True
        self._send()
        self._playing.begin()

    def _dismiss(self, reason: str) -> None:
        """End a player's connection with what waits for it."""
        if not self._ended:
            _log.info("%s: no longer plays: %s", self.name, reason)
            self._reason = reason
            if self._link is not None:
                self._link.abort()

    # A publisher

    async def _announce(self, event: Announced) -> None:
        place, claims = await self._server.access.publisher(event.path, event.credentials.token)
        self._accept_claims(place, claims)
        self._announced = event
        self._run = event.session.run or RunLine(secrets.token_hex(8), 0)
        if self._run.first_number > LARGEST_NUMBER:
            raise Denied(400, "the run's first number is too large")
        if self._ended:
            return
        self._recording = await self._server.recorder.begin(place, self._run.run, event.session.gap)
        self._recording.on_pressure = self._pressure
        self._recording.on_fault = self._fault
        if self._ended:  # the socket went while the old recording was being closed
            await self._recording.finish(self._reason)
            return
        self._rtsp.accept(event)

    def _accept_claims(self, place: Place, claims: Claims) -> None:
        self._place = place
        self._claims = claims

    async def _asked(self, event: ParameterQuery) -> None:
        if event.authorized and self._place is not None:
            place = self._place
        else:
            if event.credentials is None:
                raise Denied(401, "a token is needed")
            place, _ = await self._server.access.publisher(event.path, event.credentials.token)
        if event.names != ("durable-until",):
            self._rtsp.refuse(event, 451, "only durable-until can be asked for")
            return
        durable = await self._server.recorder.durable(place)
        self._rtsp.answer(event, _durable_until(durable))

    def _started(self, event: RecordingStarted) -> None:
        assert self._run is not None
        assert self._recording is not None
        for other in event.tracks:
            if not other.supported:
                _log.info("%s: its %r is not recorded", self.name, other.media.encoding)
        self._intake = Intake(event.tracks, self._run.first_number, self._recording)
        self._publish(event)
        agent = event.user_agent[:80]
        _log.info("%s: recording %s (%r)", self.name, self._intake.encodings, agent)

    def _publish(self, event: RecordingStarted) -> None:
        """From now on players may have it, too."""
        assert self._place is not None
        assert self._announced is not None
        tracks = [track for track in event.tracks if track.supported]
        places = [self._announced.session.media.index(track.media) for track in tracks]
        channels = tuple(
            Channels(
                track.rtp_channel,
                track.rtcp_channel,
                track.media.clock_rate,
                track.media.kind,
                track.media.payload_type,
                track.media.encoding,
            )
            for track in tracks
        )
        self._media_s = time.monotonic()
        try:
            description = presentation(self._announced.request.body, places)
        except SDPError as error:
            _log.warning("%s: players can't have it: %s", self.name, error)
            return
        self._source = self._server.live.publish(self._place, description, channels)

    def _media(self, event: Media) -> None:
        if self._intake is None or self._recording is None:
            return
        now_us = time.time_ns() // 1000
        self._media_s = self._heard_s
        taken = self._intake.take(event.packets, now_us)
        if self._source is not None:
            for channel, packet in taken.reports:
                self._source.report(channel, packet)
            ended = [
                Ended(packet, unit.keyframe, unit.pts_90k, unit.utc_us)
                for packet, unit in taken.units
            ]
            self._source.media(event.packets, event.raw, ended, now_us)

    # From the recording

    def _pressure(self, full: bool) -> None:
        """The disk is slower than the socket: the publisher must keep what it has."""
        if self._link is None or self._deciding:
            return
        self._held = full
        if full:
            self._link.pause()
        else:
            self._link.resume()

    def _fault(self, text: str) -> None:
        self.end(text)

    # The end

    def tick(self, now_s: float, utc_s: float) -> None:
        """Once a second: has it been silent for too long, or its token expired?"""
        self._count_lost()
        if self._held:
            self._heard_s = self._media_s = now_s  # it is storage that doesn't read
        if self._claims is not None and (why := self._server.access.withdrawn(self._claims)):
            self.end(why)
        elif self._claims is not None and self._claims.exp <= utc_s:
            self.end("the token had expired" if self._playing else "the camera's token had expired")
        elif now_s - self._heard_s > SESSION_TIMEOUT_S:
            self.end("nothing came any more")
        elif self._intake is not None and now_s - self._media_s > SILENCE_S:
            self.end(f"the camera sent nothing for {SILENCE_S:.0f} s")
        elif self.is_stranger and now_s - self.started_s > BEFORE_RECORD_S:
            self.end("no media came")

    @property
    def is_stranger(self) -> bool:
        """Whether it neither records nor plays: nothing has shown who it is."""
        return not (self._intake or self._plays)

    def _count_lost(self) -> None:
        lost = 0 if self._intake is None else self._intake.lost_packets
        LOST.inc(max(0, lost - self._lost))
        self._lost = lost

    def end(self, reason: str) -> None:
        """Close, whatever the peer does."""
        if not self._ended:
            _log.info("%s: ended: %s", self.name, reason)
            self._reason = reason
            self._close()

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._playing is not None:
            self._playing.pause()
        if self._source is not None:
            self._source.end(time.monotonic())
        if self._recording is None:
            return
        if self._intake is not None:
            # A connection that broke may have cut the last picture between two of its slices: it
            # must not count as received. One that said goodbye sent it whole.
            if self._said_goodbye:
                self._intake.flush(time.time_ns() // 1000)
            self._count_lost()
            if self._intake.lost_packets:
                _log.warning("%s: %d packets were lost", self.name, self._intake.lost_packets)
        self._server.spawn(self, self._finish(self._recording, reason))

    async def _finish(self, recording: Recording, reason: str) -> None:
        if self._intake is not None:
            await self._intake.drain()
        await recording.finish(reason)


def _durable_until(durable: Durable | None) -> dict[str, str]:
    position = None if durable is None else Position(durable.run, durable.number, durable.utc_us)
    return {"durable-until": format_durable(position)}
