"""The server's side of one RTSP connection, on which a device publishes or a player plays.

    for event in connection.receive(data):
        match event:
            case Announced():       # decide: connection.accept(event) or .refuse(event, 401, "…")
            case ParameterQuery():  # connection.answer(event, {...}) or .refuse(...)
            case Recording():       # event.tracks: which channel holds what
            case Media():           # event.packets: (channel, packet) in order
            case DescribeRequested():  # connection.describe(event, sdp, tracks) or .refuse(...)
            case PlayRequested():   # connection.play(event, [...]) or .refuse(...); then media go
            case Paused():          # … until this
            case Closed():          # send data_to_send(), then close
    transport.write(connection.data_to_send())

`receive` gives its events one by one; behind an event that wants a decision it goes on when the
decision has been made (if that takes a while: call `receive(b"")` after it).
OPTIONS, SETUP, RECORD, PAUSE, TEARDOWN, keep-alives and what is out of order are answered inside,
and so is an ANNOUNCE or DESCRIBE without credentials (401), an ANNOUNCE without H.264 (415), or
with a broken SDP (400).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ucam.rtsp.auth import challenges, credentials, path
from ucam.rtsp.errors import MessageError, RTSPError, UsageError
from ucam.rtsp.events import (
    Announced,
    Closed,
    Decision,
    DescribeRequested,
    Event,
    Media,
    ParameterQuery,
    Paused,
    PlayRequested,
    RecordedTrack,
    Recording,
)
from ucam.rtsp.messages import Header, Interleaved, Message, Request, Response
from ucam.rtsp.parser import Parser
from ucam.rtsp.presentation import CONTROL
from ucam.rtsp.setup import SDP_TYPE, PlaySetup, RecordSetup, session_of
from ucam.rtsp.states import METHODS, OFFERED, TABLE, State

__all__ = [
    "Announced",
    "Closed",
    "Decision",
    "DescribeRequested",
    "Event",
    "Media",
    "ParameterQuery",
    "Paused",
    "PlayRequested",
    "RecordedTrack",
    "Recording",
    "ServerConnection",
]

MAX_NAMES = 16


class ServerConnection:
    """One connection. `entropy`: at least 16 bytes of os.urandom, for the session's id.

    `session_timeout_s` is what the client is told; the owner closes a connection that stays silent
    for longer. `max_refusals`: so many 401 and 403, then the connection is closed. `max_waiting`:
    so many messages behind one that waits for its decision, then the connection is closed.
    """

    def __init__(
        self,
        entropy: bytes,
        *,
        server: str = "ucam",
        session_timeout_s: int = 60,
        max_head: int = 16_384,
        max_body: int = 65_536,
        max_tracks: int = 8,
        max_waiting: int = 64,
        max_refusals: int = 5,
    ) -> None:
        if len(entropy) < 16:
            raise UsageError("a session id needs at least 16 bytes of entropy")
        self.state = State.INIT
        self.session_timeout_s = session_timeout_s
        self._session_id = entropy.hex()
        self._server = server
        self._max_tracks = max_tracks
        self._max_waiting = max_waiting
        self._refusals_left = max_refusals
        self._parser = Parser(max_head=max_head, max_body=max_body)
        self._inbox: deque[Message | MessageError] = deque()
        self._out = bytearray()
        self._pending: Decision | None = None
        self._recorded: RecordSetup | None = None
        self._played: PlaySetup | None = None
        self._channels: frozenset[int] = frozenset()
        self._closing: str | None = None
        self._closed_told = False

    def receive(self, data: bytes | bytearray | memoryview) -> Iterable[Event]:
        """What these bytes bring. Never raises for what a peer sends."""
        if self._closing is None:
            found = self._parser.feed(data)
            if self.state is State.RECORDING and self._pending is None and not self._inbox:
                # Nearly all that ever comes: hundreds of times a second, so by the shortest way.
                if not found:
                    return ()
                if len(found) == 1 and isinstance(found[0], Interleaved):
                    return self._media(*found[0])
            self._inbox.extend(found)
            if self._pending is not None and len(self._inbox) > self._max_waiting:
                self._closing = "too many requests while one waits for its answer"
        return self._events()

    def accept(self, event: Announced) -> None:
        """Yes to an ANNOUNCE. Raises `UsageError` if this event waits for no decision."""
        self._decide(event)
        self._recorded = RecordSetup(event)
        self._succeed(event.request)

    def answer(self, event: ParameterQuery, parameters: Mapping[str, str]) -> None:
        """The values asked for, as lines `name: value` of text/parameters."""
        self._decide(event)
        body = "".join(f"{name}: {value}\r\n" for name, value in parameters.items()).encode()
        self._succeed(event.request, (("Content-Type", "text/parameters"),), body)

    def describe(self, event: DescribeRequested, description: bytes, tracks: int) -> None:
        """Yes to a DESCRIBE: an SDP of so many tracks, made by `presentation`."""
        self._decide(event)
        before = self._played
        self._played = PlaySetup(event, tracks)
        if before is not None and before.tracks == tracks:
            self._played.channels = before.channels
        headers = (("Content-Base", self._played.base), ("Content-Type", SDP_TYPE))
        self._succeed(event.request, headers, description)

    def play(self, event: PlayRequested, starts: Sequence[tuple[int, int, int]]) -> None:
        """Yes to a PLAY; what the owner sends from now on are interleaved packets. `starts`: track,
        sequence number and time stamp of the first packet, as far as they are known.
        """
        self._decide(event)
        assert self._played is not None
        lines = [
            f"url={self._played.base}{CONTROL}{track};seq={sequence};rtptime={timestamp}"
            for track, sequence, timestamp in starts
        ]
        information = (("RTP-Info", ",".join(lines)),) if lines else ()
        self._succeed(event.request, (("Range", "npt=now-"), *information))

    def refuse(self, event: Decision, status: int, reason: str) -> None:
        """No, with a status (401 brings the challenges along) and a reason in plain words."""
        self._decide(event)
        self._fail(event.request, status, reason)

    def close(self, reason: str) -> None:
        """The owner ends the connection: the next `receive` gives nothing but `Closed`."""
        self._closing = self._closing or reason

    def data_to_send(self) -> bytes:
        """The bytes to write now; empty when there are none."""
        if not self._out:
            return b""
        data = bytes(self._out)
        self._out.clear()
        return data

    def _decide(self, event: Decision) -> None:
        if self._pending is not event:
            raise UsageError(f"this {type(event).__name__} waits for no decision")
        self._pending = None

    def _events(self) -> Iterator[Event]:
        while self._closing is None and self._pending is None and self._inbox:
            match self._inbox.popleft():
                case Interleaved(packets, raw):
                    # Before RECORD is accepted there is nobody who would take them; what a player
                    # sends are reports of how well it hears us.
                    if self.state is State.RECORDING:
                        yield from self._media(packets, raw)
                case Request() as request:
                    yield from self._request(request)
                case MessageError() as error:
                    self._respond(Response(error.status, _phrase(error)))
                    self._closing = str(error)
                case Response():
                    pass  # the server asks nothing
        if self._closing is not None and not self._closed_told:
            self._closed_told = True
            self.state = State.CLOSED
            self._inbox.clear()
            yield Closed(self._closing)

    def _media(
        self, packets: list[tuple[int, memoryview]], raw: memoryview
    ) -> tuple[()] | tuple[Media]:
        wanted = self._channels
        kept = [each for each in packets if each[0] in wanted]
        return (Media(kept, raw if len(kept) == len(packets) else None),) if kept else ()

    def _request(self, request: Request) -> Iterator[Event]:
        if request.header("CSeq") is None:
            self._closing = f"a {request.method} without CSeq"
            self._fail(request, 400, "CSeq is missing")
        elif request.method not in METHODS:
            self._fail(request, 501, f"{request.method[:32]} is not implemented")
        elif (self.state, request.method) not in TABLE:
            self._fail(request, 455, f"{request.method} is not valid in this state")
        elif required := request.header("Require"):
            self._fail(request, 551, "Option not supported", (("Unsupported", required),))
        elif not self._is_this_session(request):
            self._fail(request, 454, "Session not found")
        else:
            try:
                event = self._serve(request)
            except RTSPError as error:
                self._fail(request, error.status, str(error))
            else:
                if isinstance(event, Decision):
                    self._pending = event
                if event is not None:
                    yield event

    def _serve(self, request: Request) -> Event | None:
        """Carry a request out; raises `RTSPError` with the status to answer."""
        match request.method:
            case "ANNOUNCE":
                return self._announce(request)
            case "DESCRIBE":
                return self._describe(request)
            case "SETUP":
                self._set_up(request)
            case "PLAY":
                return self._play(request)
            case "PAUSE":
                self._succeed(request)
                return Paused() if self.state is not State.RECORDING else None
            case "RECORD":
                return self._record(request)
            case "GET_PARAMETER" if names := _parameter_names(request):
                return self._query(request, names)
            case "SET_PARAMETER" if request.body:
                raise RTSPError("Parameter not understood", 451)
            case "OPTIONS":
                self._succeed(request, (("Public", ", ".join(OFFERED)),))
            case "TEARDOWN":
                self._succeed(request)
                self._closing = "TEARDOWN"
            case _:
                self._succeed(request)  # a keep-alive
        return None

    def _announce(self, request: Request) -> Announced:
        found = credentials(request)
        if found is None:
            raise RTSPError("Unauthorized", 401)
        return Announced(request, path(request.uri), found, session_of(request, self._max_tracks))

    def _describe(self, request: Request) -> DescribeRequested:
        found = credentials(request)
        if found is None:
            raise RTSPError("Unauthorized", 401)
        return DescribeRequested(request, path(request.uri), found)

    def _set_up(self, request: Request) -> None:
        wanted = self._played or self._recorded
        assert wanted is not None
        self._succeed(request, (("Transport", wanted.set_up(request)),))

    def _record(self, request: Request) -> Recording:
        assert self._recorded is not None
        recording = self._recorded.record(request)
        wanted = [track for track in recording.tracks if track.supported]
        self._channels = frozenset(c for t in wanted for c in (t.rtp_channel, t.rtcp_channel))
        self._succeed(request)
        return recording

    def _play(self, request: Request) -> PlayRequested | None:
        assert self._played is not None
        if self.state is State.PLAYING:
            self._succeed(request)  # some players' keep-alive
            return None
        return self._played.play(request)

    def _query(self, request: Request, names: tuple[str, ...]) -> ParameterQuery:
        where, found = path(request.uri), credentials(request)
        authorized = self._recorded is not None and self._recorded.announced.path == where
        if self._played is not None:
            raise RTSPError("Parameter not understood", 451)  # players have nothing to ask for
        if found is None and not authorized:
            raise RTSPError("Unauthorized", 401)
        return ParameterQuery(request, where, found, names, authorized)

    def _is_this_session(self, request: Request) -> bool:
        """Sessions are bound to their connection; no other connection's id is known here."""
        named = request.header("Session")
        return named is None or named.partition(";")[0].strip() == self._session_id

    def _succeed(
        self, request: Request, headers: tuple[Header, ...] = (), body: bytes = b""
    ) -> None:
        self.state = TABLE[self.state, request.method]
        recorded, played = self._recorded, self._played
        if (recorded and recorded.tracks) or (played and played.channels):
            session = f"{self._session_id};timeout={self.session_timeout_s}"
            headers = (("Session", session), *headers)
        self._respond(Response(200, "OK", headers, body), request)

    def _fail(
        self, request: Request, status: int, reason: str, headers: tuple[Header, ...] = ()
    ) -> None:
        if status in (401, 403):
            self._refusals_left -= 1
            if self._refusals_left < 0:
                self._closing = "too many requests without valid credentials"
        if status == 401:
            headers += challenges()
        if status == 455:
            allowed = (method for state, method in TABLE if state is self.state)
            headers += (("Allow", ", ".join(allowed)),)
        self._respond(Response(status, _phrase(reason), headers), request)

    def _respond(self, response: Response, request: Request | None = None) -> None:
        head: tuple[Header, ...] = (("Server", self._server),)
        cseq = request.header("CSeq") if request is not None else None
        if cseq is not None:
            head = (("CSeq", cseq[:32]), *head)
        self._out += replace(response, headers=(*head, *response.headers)).encode()


def _phrase(reason: object) -> str:
    """A reason as it may stand in a status line: one line of printable characters."""
    return "".join(each if each.isprintable() else " " for each in str(reason))[:200]


def _parameter_names(request: Request) -> tuple[str, ...]:
    """The names in a GET_PARAMETER's body (RFC 2326 §10.8); raises `RTSPError`."""
    try:
        lines = request.body.decode().splitlines()
    except UnicodeDecodeError as error:
        raise RTSPError("a body that is not UTF-8") from error
    names = tuple(name for line in lines if (name := line.partition(":")[0].strip().lower()))
    if len(names) > MAX_NAMES:
        raise RTSPError(f"more than {MAX_NAMES} parameters", 413)
    return names
