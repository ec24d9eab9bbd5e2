"""The publisher's side: ucam's own sender.

publisher = Publisher(url, token)
publisher.start()
… for event in publisher.receive(data):
    DurableUntil (the first):  publisher.announce(sdp.h264_session(sets, RunLine(run, first)))
    Ready:                     send publisher.frame(packets) for every access unit,
                               and every 2 s publisher.ask_durable()
    DurableUntil (later):      drop from the spool what it confirms
    Failed:                    close, come back later
"""

import re
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ucam.rtsp.errors import MessageError, RTSPError, UsageError
from ucam.rtsp.messages import Header, Interleaved, Request, Response
from ucam.rtsp.parser import Parser
from ucam.rtsp.sdp import SessionDescription

DURABLE_UNTIL = "durable-until"
SDP_TYPE = "application/sdp"
MAX_PACKET = 65_535
DEFAULT_TIMEOUT_S = 60  # RFC 2326 §12.37

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTERLEAVED = struct.Struct(">BBH")
_SESSION = re.compile(r"([^\s;]{1,128})(?:\s*;\s*timeout=(\d{1,6}).*)?")
_DURABLE = re.compile(r"([A-Za-z0-9._-]{1,64}) (\d{1,19}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z")


@dataclass(frozen=True, slots=True)
class Durable:
    """What storage confirms: the last durable access unit of this device, and its capture time."""

    run: str
    number: int
    utc_us: int


@dataclass(frozen=True, slots=True)
class DurableUntil:
    """The answer to a question: None when storage has nothing of this device."""

    position: Durable | None


@dataclass(frozen=True, slots=True)
class Ready:
    """RECORD was accepted: media may be sent. `keep_alive_s`: ask at least this often."""

    keep_alive_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Storage refused, or answered what cannot be understood. `status` 0: no RTSP status. `step`:
    which request it was about.
    """

    status: int
    text: str
    step: str


Event = DurableUntil | Ready | Failed


class Publisher:
    """One connection to storage. `url`: rtsps://HOST:PORT/BARE-JID."""

    def __init__(self, url: str, token: str, *, user_agent: str = "ucam") -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._user_agent = user_agent
        self._parser = Parser()
        self._out = bytearray()
        self._cseq = 0
        # Answers come in the order of the requests; bounded, since ask_durable asks one at a time.
        self._waiting: deque[str] = deque()
        self._session_id = ""
        self._session: SessionDescription | None = None
        self._channels: list[int] = []
        self._timeout_s = DEFAULT_TIMEOUT_S
        self._failed = False

    @property
    def channels(self) -> tuple[int, ...]:
        """The channel of each medium of the session, in its order, once storage is `Ready`."""
        return tuple(self._channels)

    def start(self) -> None:
        """Begin: OPTIONS, and the first question for what is durable."""
        self._request("OPTIONS", self._url)
        self.ask_durable()

    def announce(self, session: SessionDescription) -> None:
        """Announce and go on to RECORD; `Ready` or `Failed` follows."""
        if self._session is not None:
            raise UsageError("announced already")
        self._session = session
        self._request("ANNOUNCE", self._url, (("Content-Type", SDP_TYPE),), session.build())

    def ask_durable(self) -> bool:
        """Ask what is durable (this also keeps the session alive). False, and nothing is sent,
        while the last question is unanswered.
        """
        if "GET_PARAMETER" in self._waiting:
            return False
        body = f"{DURABLE_UNTIL}\r\n".encode()
        self._request("GET_PARAMETER", self._url, (("Content-Type", "text/parameters"),), body)
        return True

    def teardown(self) -> None:
        """Say that nothing more comes."""
        self._request("TEARDOWN", self._url)

    def frame(self, packets: Iterable[bytes], channel: int | None = None) -> bytes:
        """RTP packets as interleaved data, to be written behind `data_to_send()`. `channel`: as
        storage said in its answer to the first SETUP, when it is None.
        """
        return b"".join(self.framed(packets, self._channels[0] if channel is None else channel))

    def framed(self, packets: Iterable[bytes], channel: int) -> list[bytes]:
        """The same in its parts, for who joins more of them."""
        parts: list[bytes] = []
        for packet in packets:
            if len(packet) > MAX_PACKET:
                raise UsageError(f"a packet of {len(packet)} bytes cannot be interleaved")
            parts += (_INTERLEAVED.pack(0x24, channel, len(packet)), packet)
        return parts

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """What these bytes bring. Never raises for what storage sends."""
        events: list[Event] = []
        for item in self._parser.feed(data):
            if self._failed:
                break
            match item:
                case Response():
                    event = self._answered(item)
                    self._failed = isinstance(event, Failed)
                    events += [event] if event is not None else []
                case MessageError():
                    self._failed = True
                    events.append(Failed(0, str(item), "reading"))
                case Request():
                    cseq = item.header("CSeq") or "0"
                    self._out += Response(501, "Not Implemented", (("CSeq", cseq),)).encode()
                case Interleaved():
                    pass  # receiver reports
        return events

    def data_to_send(self) -> bytes:
        """The bytes to write now; empty when there are none."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def _request(
        self, method: str, uri: str, headers: tuple[Header, ...] = (), body: bytes = b""
    ) -> None:
        self._cseq += 1
        fixed: tuple[Header, ...] = (
            ("CSeq", str(self._cseq)),
            ("User-Agent", self._user_agent),
            ("Authorization", f"Bearer {self._token}"),
        )
        if self._session_id:
            fixed += (("Session", self._session_id),)
        self._waiting.append(method)
        self._out += Request(method, uri, fixed + headers, body).encode()

    def _answered(self, response: Response) -> Event | None:
        if not self._waiting:
            return Failed(0, "an answer to nothing", "reading")
        step = self._waiting.popleft()
        if response.status // 100 != 2:
            return Failed(response.status, response.reason, step)
        try:
            match step:
                case "GET_PARAMETER":
                    return DurableUntil(_durable(response))
                case "ANNOUNCE":
                    self._set_up_next()
                case "SETUP":
                    self._channels.append(_channel(response))
                    self._take_session(response.header("Session") or "")
                    self._set_up_next()
                case "RECORD":
                    return Ready(self._timeout_s / 2)
        except RTSPError as error:
            return Failed(0, str(error), step)
        return None

    def _set_up_next(self) -> None:
        """SETUP of the next track; RECORD, when there is none left."""
        assert self._session is not None
        index = len(self._channels)
        if index == len(self._session.media):
            self._request("RECORD", self._url, (("Range", "npt=0-"),))
            return
        channels = f"{2 * index}-{2 * index + 1}"
        transport = f"RTP/AVP/TCP;unicast;interleaved={channels};mode=record"
        uri = f"{self._url}/{self._session.media[index].control}"
        self._request("SETUP", uri, (("Transport", transport),))

    def _take_session(self, header: str) -> None:
        matched = _SESSION.fullmatch(header.strip())
        if matched is None:
            raise MessageError("a SETUP answered without a session")
        self._session_id = matched[1]
        if matched[2]:
            self._timeout_s = int(matched[2])


def format_durable(position: Durable | None) -> str:
    """The value of `durable-until` as storage answers it."""
    if position is None:
        return "none"
    seconds, us = divmod(position.utc_us, 1_000_000)
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=us)
    return f"{position.run} {position.number} {moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def parse_durable(value: str) -> Durable | None:
    """The inverse; None for "none". Raises `MessageError`."""
    if value == "none":
        return None
    matched = _DURABLE.fullmatch(value)
    if matched is None:
        raise MessageError("a durable-until that is not `ID NUMBER UTC`")
    try:
        moment = datetime.fromisoformat(f"{matched[3]}+00:00")
    except ValueError as error:
        raise MessageError("a durable-until with an impossible time") from error
    return Durable(matched[1], int(matched[2]), (moment - _EPOCH) // timedelta(microseconds=1))


def _durable(response: Response) -> Durable | None:
    for line in response.body.decode(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == DURABLE_UNTIL:
            return parse_durable(value.strip())
    raise MessageError("an answer without durable-until")


def _channel(response: Response) -> int:
    matched = re.search(r"interleaved=(\d{1,3})", response.header("Transport") or "")
    if matched is None or int(matched[1]) > 255:
        raise MessageError("a SETUP answered without interleaved channels")
    return int(matched[1])
