import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.rtsp import MessageError, UsageError, sdp
from ucam.rtsp.client import (
    Durable,
    DurableUntil,
    Event,
    Failed,
    Publisher,
    Ready,
    format_durable,
    parse_durable,
)
from ucam.rtsp.server import Announced, Closed, Media, ParameterQuery, Recording, ServerConnection

URL = "rtsps://storage:8322/cam001@studio.loc"
SESSION = sdp.h264_session((b"\x67\x64\x00\x1f", b"\x68\xee"), sdp.RunLine("run-2", 41))
POSITION = Durable("run-2", 40, 1_795_325_400_123_456)


class Wire:
    """A publisher and a server that talk until both are silent."""

    def __init__(self, *, refuse: int = 0) -> None:
        self.publisher = Publisher(URL, "a.b.c")
        self.server = ServerConnection(bytes(16), session_timeout_s=30)
        self.refuse = refuse
        self.server_events: list[object] = []

    def run(self, extra: bytes = b"") -> list[Event]:
        events: list[Event] = []
        while data := self.publisher.data_to_send() + extra:
            extra = b""
            for event in self.server.receive(data):
                self.server_events.append(event)
                match event:
                    case Announced() if self.refuse:
                        self.server.refuse(event, self.refuse, "Not for this device")
                    case Announced():
                        assert event.credentials.token == "a.b.c"
                        self.server.accept(event)
                    case ParameterQuery():
                        assert event.path == "cam001@studio.loc"
                        self.server.answer(event, {"durable-until": format_durable(POSITION)})
            events += self.publisher.receive(self.server.data_to_send())
        return events


def test_the_whole_way() -> None:
    wire = Wire()
    wire.publisher.start()
    assert wire.run() == [DurableUntil(POSITION)]
    wire.publisher.announce(SESSION)
    assert wire.run() == [Ready(15)]
    announced = wire.server_events[1]
    assert isinstance(announced, Announced)
    assert announced.session == SESSION
    wire.run(wire.publisher.frame([b"one", b"two"]) + wire.publisher.frame([b"report"], 1))
    media = wire.server_events[-1]
    assert isinstance(media, Media)
    assert [(n, bytes(each)) for n, each in media.packets] == [
        (0, b"one"),
        (0, b"two"),
        (1, b"report"),
    ]
    assert bytes(media.raw or b"") == wire.publisher.frame([b"one", b"two"]) + wire.publisher.frame(
        [b"report"], 1
    )
    assert wire.publisher.ask_durable()
    assert not wire.publisher.ask_durable()
    assert wire.run() == [DurableUntil(POSITION)]
    assert wire.publisher.ask_durable()
    wire.run()
    wire.publisher.teardown()
    wire.run()
    last: object = wire.server_events[-1]
    assert last == Closed("TEARDOWN")
    assert any(isinstance(event, Recording) for event in wire.server_events)


def test_a_refusal_is_told_with_its_reason() -> None:
    wire = Wire(refuse=403)
    wire.publisher.start()
    wire.run()
    wire.publisher.announce(SESSION)
    assert wire.run() == [Failed(403, "Not for this device", "ANNOUNCE")]


def test_announcing_twice_is_a_bug() -> None:
    publisher = Publisher(URL, "t")
    publisher.announce(SESSION)
    with pytest.raises(UsageError):
        publisher.announce(SESSION)


def answers(*heads: str) -> bytes:
    return "".join(f"RTSP/1.0 {head}\r\n\r\n" for head in heads).encode()


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"HTTP/1.1 400 Bad\r\n\r\n", "reading"),
        (answers("404 no"), "OPTIONS"),
        (answers("200 OK", "200 OK"), "GET_PARAMETER"),
        (answers("200 OK", "451 no"), "GET_PARAMETER"),
        (
            answers("200 OK", "200 OK\r\nContent-Length: 18\r\n\r\ndurable-until: r 1"),
            "GET_PARAMETER",
        ),
    ],
)
def test_what_cannot_be_understood_is_told_once(data: bytes, failure: str) -> None:
    publisher = Publisher(URL, "t")
    publisher.start()
    (event,) = publisher.receive(data + answers("200 OK"))
    assert isinstance(event, Failed)
    assert event.step == failure
    assert publisher.receive(answers("200 OK")) == []


@pytest.mark.parametrize(
    "head",
    ["200 OK", "200 OK\r\nTransport: x", "200 OK\r\nTransport: RTP/AVP/TCP;interleaved=0-1"],
)
def test_a_setup_needs_channels_and_a_session(head: str) -> None:
    publisher = Publisher(URL, "t")
    publisher.announce(SESSION)
    (event,) = publisher.receive(answers("200 OK", head))
    assert isinstance(event, Failed)
    assert event.step == "SETUP"


def test_requests_of_storage_are_answered_and_its_reports_passed_over() -> None:
    publisher = Publisher(URL, "t")
    assert publisher.receive(b"$\1\0\1xOPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n") == []
    assert publisher.data_to_send() == b"RTSP/1.0 501 Not Implemented\r\nCSeq: 77\r\n\r\n"


def test_the_token_goes_as_bearer() -> None:
    publisher = Publisher(URL, "a.b.c")
    publisher.start()
    sent = publisher.data_to_send()
    assert sent.count(b"Authorization: Bearer a.b.c\r\n") == 2
    assert b"?" not in sent


@given(st.integers(-1_000_000_000_000, 250_000_000_000_000_000), st.integers(0, 1 << 62))
def test_durable_until_round_trips_to_the_microsecond(utc_us: int, number: int) -> None:
    position = Durable("run_1.a-b", number, utc_us)
    assert parse_durable(format_durable(position)) == position


def test_the_form_of_durable_until() -> None:
    assert format_durable(Durable("ID", 12, 1_795_325_400_123_456)) == (
        "ID 12 2026-11-22T05:30:00.123456Z"
    )
    assert format_durable(None) == "none"
    assert parse_durable("none") is None


@pytest.mark.parametrize(
    "value", ["", "None", "r 1 2026-11-22T05:30:00Z", "r x 2026-11-22T05:30:00.123456Z",
              "r 1 2026-13-22T05:30:00.123456Z", "r 1 2026-11-22T05:30:00.123456+01:00"],
)  # fmt: skip
def test_other_forms_are_errors(value: str) -> None:
    with pytest.raises(MessageError):
        parse_durable(value)


def test_packets_too_long_for_interleaving_are_a_bug() -> None:
    with pytest.raises(UsageError):
        Publisher(URL, "t").frame([bytes(65_536)], 0)
