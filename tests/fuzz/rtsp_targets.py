"""RTSP as it comes from a socket: parser, both ends of a connection, SDP, interleaved packets."""

import contextlib
import re
from collections.abc import Iterable

from fuzz.target import Target, pieces
from rtsp.peers import VECTORS, accept_all, flat
from ucam.rtsp import sdp
from ucam.rtsp.client import Publisher
from ucam.rtsp.errors import MessageError, SDPError
from ucam.rtsp.messages import Interleaved, Request
from ucam.rtsp.parser import Parser
from ucam.rtsp.recordable import recordable
from ucam.rtsp.server import Closed, ServerConnection
from ucam.storage import interleaved

ENTROPY = bytes(16)
SPLIT = b"\x00\x07"
BEHIND_RECORD = 3000
ANSWERS = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: ANNOUNCE\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 49\r\n\r\n"
    b"durable-until: a1 17 2026-11-22T05:30:00.123456Z\n",
    b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSeq: 4\r\nSession: 0011;timeout=60\r\n"
    b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSeq: 5\r\nSession: 0011\r\n\r\n",
    b"$\x01\x00\x08\x81\xc9\x00\x01\x00\x00\x00\x00",
    b"RTSP/1.0 454 Session Not Found\r\nCSeq: 6\r\n\r\n",
)
# A player's side, by hand: the vectors are publishers'.
PLAYER = "".join(
    f"{line} RTSP/1.0\r\nCSeq: {number}\r\nAuthorization: Bearer a.b.c\r\n{more}\r\n"
    for number, (line, more) in enumerate(
        (
            ("DESCRIBE rtsps://h/cam001@studio.loc", "Accept: application/sdp\r\n"),
            (
                "SETUP rtsps://h/cam001@studio.loc/track0",
                "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
            ),
            ("PLAY rtsps://h/cam001@studio.loc", "Range: npt=now-\r\n"),
            ("GET_PARAMETER rtsps://h/cam001@studio.loc", ""),
            ("PAUSE rtsps://h/cam001@studio.loc", ""),
            ("TEARDOWN rtsps://h/cam001@studio.loc", ""),
        ),
        1,
    )
).encode()


def vectors() -> list[bytes]:
    """What each captured publisher sent up to its first packets; all with one session id."""
    found = []
    for path in sorted(VECTORS.rglob("*.txt")):
        data = path.read_bytes()
        data = data[: data.index(b"RECORD ") + BEHIND_RECORD]
        found.append(re.sub(rb"Session: [0-9a-f]{32}", b"Session: " + b"00" * 16, data))
    return found


def _messages(parts: Iterable[bytes]) -> list[object]:
    parser, found = Parser(), list[object]()
    for part in parts:
        for item in parser.feed(part):
            if isinstance(item, Interleaved):
                found += [(channel, bytes(packet)) for channel, packet in item.packets]
            elif isinstance(item, MessageError):
                found.append((str(item), item.status))
            else:
                found.append(item)
    return found


def parser(data: bytes) -> None:
    """The same messages at any split; what can be written can be read back."""
    body, parts = pieces(data)
    found = _messages([body])
    assert _messages(parts) == found
    for item in found:
        if isinstance(item, Request) and "\r" not in str(item.headers):
            length = [name for name, _ in item.headers if name.lower() == "content-length"]
            if not length:
                assert _messages([item.encode()])[:1] == [item]


def server(data: bytes) -> None:
    """The same events and answers at any split; nothing behind the end."""
    body, parts = pieces(data)
    whole, split = ServerConnection(ENTROPY), ServerConnection(ENTROPY)
    events = flat(accept_all(whole, body))
    assert flat([event for part in parts for event in accept_all(split, part)]) == events
    out = whole.data_to_send()
    assert split.data_to_send() == out
    assert not any(isinstance(event, Closed) for event in events[:-1])
    assert _messages([out]) == _messages([out[:17], out[17:]])


def client(data: bytes) -> None:
    """What storage answers, in whatever order and however split."""
    body, parts = pieces(data)
    assert _publish([body]) == _publish(parts)


def _publish(parts: Iterable[bytes]) -> tuple[list[object], bytes]:
    publisher = Publisher("rtsps://h:1/cam001@studio.loc", "token")
    publisher.start()
    # At once: when storage answers before it was asked depends on the split.
    publisher.announce(sdp.h264_session((), sdp.RunLine("run1", 0)))
    events = [event for part in parts for event in publisher.receive(part)]
    return list[object](events), publisher.data_to_send()


def description(data: bytes) -> None:
    """An SDP, or `SDPError`; what was read can be written and read again."""
    try:
        session = sdp.parse(data)
    except SDPError:
        return
    assert len(session.media) <= 16
    recordable(session)
    for media in session.media:
        assert len(media.parameters) <= sdp.MAX_PARAMETERS
        with contextlib.suppress(SDPError):
            media.parameter_sets()
    if session.media and all(media.payload_type >= 0 for media in session.media):
        with contextlib.suppress(SDPError):  # an encoding that no rtpmap had
            assert len(sdp.parse(session.build()).media) == len(session.media)


def framing(data: bytes) -> None:
    """Interleaved packets, through what PLAY readers get."""
    splices = {0: interleaved.Splice(7, 100, 5000), 1: interleaved.Splice(7, 100, 5000)}
    for item in Parser().feed(data):
        if isinstance(item, Interleaved):
            raw = bytes(item.raw)
            assert interleaved.joined(item.packets) == raw
            every = {channel: channel for channel in range(256)}
            assert interleaved.moved(raw, every) == raw
            interleaved.heads(raw, frozenset((0, 2)))
            interleaved.heads(raw, frozenset((0, 2)), last=True)
            assert len(interleaved.spliced(raw, splices, splices)) == len(raw)


def _split_vectors() -> list[bytes]:
    return [SPLIT + data for data in (*vectors(), PLAYER)]


def _descriptions() -> list[bytes]:
    return [
        item.body
        for data in vectors()
        for item in Parser().feed(data)
        if isinstance(item, Request) and item.method == "ANNOUNCE"
    ]


def _packets() -> list[bytes]:
    return [
        bytes(item.raw)
        for data in vectors()
        for item in Parser().feed(data)
        if isinstance(item, Interleaved)
    ]


TARGETS = {
    "rtsp-parser": Target(parser, _split_vectors),
    "rtsp-server": Target(server, _split_vectors),
    "rtsp-client": Target(client, lambda: [SPLIT + b"".join(ANSWERS), SPLIT + ANSWERS[0]]),
    "sdp": Target(description, _descriptions),
    "interleaved": Target(framing, _packets),
}
