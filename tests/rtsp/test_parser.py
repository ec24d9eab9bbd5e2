import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.rtsp.errors import MessageError
from ucam.rtsp.messages import Interleaved, Message, Request, Response
from ucam.rtsp.parser import Parser

OPTIONS = Request("OPTIONS", "rtsp://h/p", (("CSeq", "1"), ("User-Agent", "x y")))


def only(items: list[Message | MessageError]) -> Message | MessageError:
    (item,) = items
    return item


def frame(channel: int, payload: bytes) -> bytes:
    return b"$" + bytes([channel]) + len(payload).to_bytes(2) + payload


def test_messages_round_trip() -> None:
    announce = Request("ANNOUNCE", "rtsp://h/p", (("CSeq", "2"),), b"v=0\r\n")
    answer = Response(404, "Not there", (("CSeq", "2"),), b"text")
    found = Parser().feed(OPTIONS.encode() + announce.encode() + answer.encode())
    assert found == [
        OPTIONS,
        Request("ANNOUNCE", "rtsp://h/p", (("CSeq", "2"), ("Content-Length", "5")), b"v=0\r\n"),
        Response(404, "Not there", (("CSeq", "2"), ("Content-Length", "4")), b"text"),
    ]


def test_packets_in_a_row_are_one_event() -> None:
    data = frame(0, b"abc") + frame(1, b"") + OPTIONS.encode() + frame(0, b"d" * 65_535)
    first, request, last = Parser().feed(data)
    assert isinstance(first, Interleaved)
    assert first.packets == [(0, memoryview(b"abc")), (1, memoryview(b""))]
    assert bytes(first.raw) == frame(0, b"abc") + frame(1, b"")
    assert request == OPTIONS
    assert isinstance(last, Interleaved)
    assert len(last.packets[0][1]) == 65_535


def test_packets_stay_valid_when_the_receive_buffer_is_used_again() -> None:
    buffer = bytearray(frame(0, b"abc"))
    event = only(Parser().feed(memoryview(buffer)))
    buffer[:] = bytes(len(buffer))
    assert isinstance(event, Interleaved)
    assert event.packets == [(0, memoryview(b"abc"))]
    assert bytes(event.raw) == frame(0, b"abc")


def test_empty_lines_and_folded_headers_are_forgiven() -> None:
    request = only(Parser().feed(b"\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq:1\r\nX:  a\r\n  b \r\n\r\n"))
    assert isinstance(request, Request)
    assert (request.header("cseq"), request.header("x")) == ("1", "a b")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\r\nCSeq: 1\r\n\r\n", 400),
        (b"OPTIONS * RTSP/2.0\r\n\r\n", 505),
        (b"OPTIONS *\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nno name\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\nX: 2\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nX: \xff\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"OPTIONS * RTSP/1.0\r\n" + b"A: b\r\n" * 101 + b"\r\n", 400),
        (b"OPTIONS " + b"a" * 2000, 413),
        (b"OPTIONS " + b"a" * 2000 + b" RTSP/1.0\r\n\r\n", 413),
    ],
)
def test_what_is_no_rtsp_is_told_once(data: bytes, status: int) -> None:
    parser = Parser(max_head=1000, max_body=1000)
    found = parser.feed(OPTIONS.encode() + data)
    assert found[0] == OPTIONS
    assert isinstance(found[1], MessageError)
    assert found[1].status == status
    assert parser.feed(OPTIONS.encode()) == []


def test_a_token_is_in_no_repr() -> None:
    request = Request("OPTIONS", "rtsp://h/p?token=secret", (("Authorization", "Bearer secret"),))
    assert "secret" not in repr(request)


def test_a_line_break_cannot_be_written_into_a_header() -> None:
    with pytest.raises(ValueError):
        Response(200, "OK", (("X", "a\r\nB: c"),)).encode()


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_at_any_split_give_the_same(data: bytes, size: int) -> None:
    whole = _flat(Parser(max_head=60, max_body=20).feed(data))
    parser = Parser(max_head=60, max_body=20)
    split: list[object] = []
    for place in range(0, len(data), size):
        split += _flat(parser.feed(data[place : place + size]))
    assert split == whole


interesting = st.lists(
    st.sampled_from(
        [
            OPTIONS.encode(),
            frame(0, b"abc"),
            frame(9, b""),
            b"\r\n",
            b"O",
            b"$",
            b":",
            b"\xff",
            b"1",
        ]
    ),
    max_size=12,
)


@given(interesting, st.integers(1, 20))
def test_mixtures_at_any_split_give_the_same(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    parser = Parser(max_head=60, max_body=20)
    split: list[object] = []
    for place in range(0, len(data), size):
        split += _flat(parser.feed(data[place : place + size]))
    assert split == _flat(Parser(max_head=60, max_body=20).feed(data))


def _flat(items: list[Message | MessageError]) -> list[object]:
    found: list[object] = []
    for item in items:
        if isinstance(item, Interleaved):
            found += item.packets
        elif isinstance(item, MessageError):
            found.append((item.status, str(item)))
        else:
            found.append(item)
    return found
