from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp.peers import accept_all, flat
from ucam.rtsp import UsageError, sdp
from ucam.rtsp.messages import Request, Response
from ucam.rtsp.parser import Parser
from ucam.rtsp.sdp import Media as SdpMedia
from ucam.rtsp.server import (
    Announced,
    Closed,
    DescribeRequested,
    Media,
    ParameterQuery,
    Paused,
    PlayRequested,
    Recording,
    ServerConnection,
)
from ucam.rtsp.states import METHODS, TABLE, State

URL = "rtsps://storage:8322/cam001@studio.loc"
BEARER = ("Authorization", "Bearer a.b.c")
H264 = sdp.h264_session((b"\x67\x64\x00\x1f\xac", b"\x68\xee"), sdp.RunLine("r", 7))
AUDIO = SdpMedia("audio", 97, "OPUS", 48_000, control="audio")
TCP = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
PLAY_TCP = ("Transport", "RTP/AVP/TCP;unicast;interleaved=4-5")


class Client:
    """Sends requests one by one to a server that says yes to what it is asked."""

    def __init__(self, session_timeout_s: int = 60) -> None:
        self.server = ServerConnection(bytes(range(16)), session_timeout_s=session_timeout_s)
        self.events: list[object] = []
        self.cseq = 0

    def ask(
        self, method: str, uri: str = URL, *headers: tuple[str, str], body: bytes = b""
    ) -> Response:
        self.cseq += 1
        request = Request(method, uri, (("CSeq", str(self.cseq)), *headers), body)
        self.events += accept_all(self.server, request.encode())
        (answer,) = Parser().feed(self.server.data_to_send())
        assert isinstance(answer, Response)
        assert answer.header("CSeq") == str(self.cseq)
        return answer

    def announce(self, session: sdp.SessionDescription = H264) -> Response:
        kind = ("Content-Type", "application/sdp")
        return self.ask("ANNOUNCE", URL, BEARER, kind, body=session.build())

    def set_up(self, control: str = "streamid=0", transport: tuple[str, str] = TCP) -> Response:
        return self.ask("SETUP", f"{URL}/{control}", transport)

    def describe(self, uri: str = URL) -> Response:
        return self.ask("DESCRIBE", uri, BEARER)

    def prepare(self, control: str = "trackID=0") -> Response:
        return self.ask("SETUP", f"{URL}/{control}", PLAY_TCP)

    def record(self) -> Response:
        self.announce()
        self.set_up()
        return self.ask("RECORD")


def test_the_way_to_recording() -> None:
    client = Client(session_timeout_s=45)
    offered = client.ask("OPTIONS").header("Public")
    assert offered is not None
    assert set(offered.split(", ")) == set(METHODS) - {"PAUSE"}
    assert client.announce().status == 200
    answer = client.set_up()
    assert answer.header("Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
    session = "000102030405060708090a0b0c0d0e0f"
    assert answer.header("Session") == f"{session};timeout=45"
    assert client.ask("RECORD", URL, ("Session", session), ("User-Agent", "x/1")).status == 200
    announced, recording = client.events
    assert isinstance(announced, Announced)
    assert (announced.path, announced.session.run) == ("cam001@studio.loc", sdp.RunLine("r", 7))
    assert isinstance(recording, Recording)
    assert (recording.path, recording.user_agent) == ("cam001@studio.loc", "x/1")
    assert client.server.state is State.RECORDING
    assert client.ask("TEARDOWN", URL, ("Session", session)).status == 200
    assert client.events[-1] == Closed("TEARDOWN")
    assert list(client.server.receive(b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n")) == []


def test_media_before_record_and_on_unknown_channels_are_dropped() -> None:
    client = Client()
    packets = b"$\0\0\2ab$\1\0\1c$\2\0\1d"
    assert accept_all(client.server, packets) == []
    client.record()
    (media,) = accept_all(client.server, packets)
    assert isinstance(media, Media)
    assert media.packets == [(0, memoryview(b"ab")), (1, memoryview(b"c"))]
    assert media.raw is None  # what lies between was left out
    (media,) = accept_all(client.server, packets[:-5])
    assert isinstance(media, Media)
    assert bytes(media.raw or b"") == packets[:-5]
    assert accept_all(client.server, b"$\2\0\1d") == []


def test_a_second_audio_track_is_accepted_and_its_packets_are_dropped() -> None:
    client = Client()
    first = replace(AUDIO, control="first")
    client.announce(sdp.SessionDescription((first, AUDIO, *H264.media)))
    client.set_up("audio")
    second = ("Transport", "RTP/AVP/TCP;unicast;mode=record")
    assert "interleaved=2-3" in (client.set_up("streamid=0", second).header("Transport") or "")
    assert client.ask("RECORD").status == 200
    recording = client.events[-1]
    assert isinstance(recording, Recording)
    assert [track.supported for track in recording.tracks] == [False, True]
    events = flat(accept_all(client.server, b"$\0\0\1a$\2\0\1v$\1\0\1a$\3\0\1v"))
    assert events == [(2, b"v"), (3, b"v")]


@pytest.mark.parametrize(
    "session",
    [
        sdp.SessionDescription(()),
        sdp.SessionDescription((replace(AUDIO, encoding="SPEEX"),)),
        sdp.SessionDescription((SdpMedia("video", 96, "VP8", 90_000),)),
        sdp.SessionDescription(
            (SdpMedia("video", 96, "H264", 90_000, parameters={"packetization-mode": "2"}),)
        ),
    ],
)
def test_without_anything_known_an_announce_is_refused_in_clear_words(
    session: sdp.SessionDescription,
) -> None:
    client = Client()
    answer = client.announce(session)
    assert answer.status == 415
    assert answer.reason.startswith("Nothing that can be recorded is announced, only: ")
    assert client.events == []
    assert client.server.state is State.INIT


def test_an_announce_without_credentials_is_challenged_for_basic_and_bearer() -> None:
    client = Client()
    answer = client.ask("ANNOUNCE", URL, body=H264.build())
    assert answer.status == 401
    offered = [value for name, value in answer.headers if name == "WWW-Authenticate"]
    assert offered == ['Basic realm="ucam"', 'Bearer realm="ucam"']
    assert client.announce().status == 200


def test_the_owner_can_refuse_and_too_many_refusals_end_it() -> None:
    server = ServerConnection(bytes(16), max_refusals=2)
    request = Request("ANNOUNCE", URL, (("CSeq", "1"), BEARER), H264.build()).encode()
    closed = None
    for round_ in range(3):
        for event in server.receive(request):
            if isinstance(event, Announced):
                server.refuse(event, 403, "This device is not of this location")
            else:
                closed = event
        assert server.data_to_send().startswith(b"RTSP/1.0 403 This device is not of this location")
        assert (closed is not None) == (round_ == 2)


PUBLISHING = [State.INIT, State.ANNOUNCED, State.READY, State.RECORDING]
PLAYING = [State.INIT, State.DESCRIBED, State.PREPARED, State.PLAYING]


@pytest.mark.parametrize("state", [*PUBLISHING, *PLAYING[1:]])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_out_of_order_is_455(state: State, method: str) -> None:
    client = Client()
    publish: list[Callable[[], Response]] = [
        client.announce,
        client.set_up,
        lambda: client.ask("RECORD"),
    ]
    play: list[Callable[[], Response]] = [
        client.describe,
        client.prepare,
        lambda: client.ask("PLAY"),
    ]
    steps, states = (publish, PUBLISHING) if state in PUBLISHING else (play, PLAYING)
    for step in steps[: states.index(state)]:
        assert step().status == 200
    assert client.server.state is state
    if (state, method) not in TABLE:
        answer = client.ask(method)
        assert answer.status == 455
        allowed = (answer.header("Allow") or "").split(", ")
        assert allowed == [each for where, each in TABLE if where is state]
        assert client.server.state is state


def test_an_unknown_method_is_501() -> None:
    assert Client().ask("REDIRECT").status == 501


def test_udp_is_461() -> None:
    client = Client()
    client.announce()
    udp = ("Transport", "RTP/AVP;unicast;client_port=5000-5001;mode=record")
    assert client.set_up(transport=udp).status == 461
    assert client.set_up().status == 200


def test_setup_needs_a_known_track_once_and_free_channels() -> None:
    client = Client()
    client.announce(sdp.SessionDescription((replace(AUDIO, encoding="SPEEX"), *H264.media)))
    assert client.set_up("other").status == 404
    assert client.set_up("audio").status == 200
    assert client.ask("RECORD").status == 455
    assert client.set_up("audio").status == 455
    assert client.set_up("streamid=0").status == 400


def test_a_session_of_another_connection_is_454() -> None:
    client = Client()
    client.announce()
    client.set_up()
    assert client.ask("RECORD", URL, ("Session", "ffff")).status == 454


def test_keep_alives_are_answered_without_bothering_the_owner() -> None:
    client = Client()
    client.record()
    count = len(client.events)
    for method in ("GET_PARAMETER", "SET_PARAMETER", "OPTIONS"):
        assert client.ask(method).status == 200
    assert client.ask("SET_PARAMETER", URL, body=b"x: 1").status == 451
    assert len(client.events) == count


def test_a_query_says_whether_its_path_was_accepted() -> None:
    client = Client()
    assert client.ask("GET_PARAMETER", URL, body=b"Durable-Until\r\n").status == 401
    answer = client.ask("GET_PARAMETER", URL, BEARER, body=b"Durable-Until\r\n")
    assert answer.body == b"durable-until: none\r\n"
    client.record()
    client.ask("GET_PARAMETER", URL, body=b"durable-until\r\n")
    other = URL.replace("cam001", "cam002")
    assert client.ask("GET_PARAMETER", other, body=b"durable-until\r\n").status == 401
    client.ask("GET_PARAMETER", other, BEARER, body=b"durable-until\r\n")
    queries = [event for event in client.events if isinstance(event, ParameterQuery)]
    assert [query.authorized for query in queries] == [False, True, False]
    assert queries[0].names == ("durable-until",)
    assert queries[0].credentials is not None
    assert queries[2].path == "cam002@studio.loc"


def test_what_comes_behind_an_undecided_request_waits() -> None:
    server = ServerConnection(bytes(16))
    announce = Request("ANNOUNCE", URL, (("CSeq", "1"), BEARER), H264.build())
    set_up = Request("SETUP", f"{URL}/streamid=0", (("CSeq", "2"), TCP))
    record = Request("RECORD", URL, (("CSeq", "3"),))
    data = announce.encode() + set_up.encode() + record.encode() + b"$\0\0\1x"
    (announced,) = server.receive(data)
    assert server.data_to_send() == b""
    assert isinstance(announced, Announced)
    assert list(server.receive(b"$\0\0\1y")) == []
    server.accept(announced)
    assert [type(event) for event in server.receive(b"")] == [Recording, Media, Media]
    assert server.data_to_send().count(b"RTSP/1.0 200 OK") == 3
    with pytest.raises(UsageError):
        server.accept(announced)


def test_nobody_may_queue_without_end() -> None:
    server = ServerConnection(bytes(16), max_waiting=3)
    announce = Request("ANNOUNCE", URL, (("CSeq", "1"), BEARER), H264.build()).encode()
    assert len(list(server.receive(announce))) == 1
    options = Request("OPTIONS", URL, (("CSeq", "2"),)).encode()
    (closed,) = server.receive(options * 4)
    assert isinstance(closed, Closed)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"OPTIONS * RTSP/1.0\r\n\r\n", b"400"),
        (b"OPTIONS * RTSP/1.0\r\nbroken\r\n\r\n", b"400"),
        (b"OPTIONS * RTSP/3.0\r\nCSeq: 1\r\n\r\n", b"505"),
        (b"\x16\x03\x01", b"400"),
    ],
)
def test_malformed_is_answered_and_closed(data: bytes, status: bytes) -> None:
    server = ServerConnection(bytes(16))
    (closed,) = server.receive(data)
    assert isinstance(closed, Closed)
    assert server.data_to_send().startswith(b"RTSP/1.0 " + status)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((), b"v=1", 400),
        ((("Content-Type", "text/plain"),), H264.build(), 415),
        ((("Require", "magic"),), H264.build(), 551),
    ],
)
def test_announces_that_cannot_be_taken(
    headers: tuple[tuple[str, str], ...], body: bytes, status: int
) -> None:
    assert Client().ask("ANNOUNCE", URL, BEARER, *headers, body=body).status == status


def test_the_way_to_playing() -> None:
    client = Client()
    assert client.ask("DESCRIBE").status == 401
    answer = client.describe(f"{URL}?token=a.b.c&gop=0")
    assert answer.body == b"v=0\r\n"
    assert answer.header("Content-Type") == "application/sdp"
    assert answer.header("Content-Base") == f"{URL}/"
    assert client.prepare("trackID=1").status == 404
    assert client.prepare().header("Transport") == ("RTP/AVP/TCP;unicast;interleaved=4-5;mode=play")
    assert client.ask("PLAY", URL, ("User-Agent", "x/1")).header("Range") == "npt=now-"
    described, play = client.events
    assert isinstance(described, DescribeRequested)
    assert (described.path, described.credentials.token) == ("cam001@studio.loc", "a.b.c")
    assert isinstance(play, PlayRequested)
    assert (play.path, play.user_agent) == ("cam001@studio.loc", "x/1")
    assert (play.channels, play.options) == ({0: (4, 5)}, {"gop": "0"})
    assert client.ask("PLAY").status == 200  # some send it to stay alive
    assert accept_all(client.server, b"$\5\0\1x") == []  # a receiver's report
    assert client.ask("PAUSE").status == 200
    assert client.events[2:] == [Paused()]
    assert client.ask("PLAY").status == 200
    assert isinstance(client.events[-1], PlayRequested)
    assert client.ask("TEARDOWN").status == 200
    assert client.events[-1:] == [Closed("TEARDOWN")]


def test_where_a_players_media_begin_stands_in_the_answer() -> None:
    client = Client()
    client.describe(f"{URL}?token=a.b.c")
    client.prepare()
    request = Request("PLAY", URL, (("CSeq", "9"),))
    (play,) = client.server.receive(request.encode())
    assert isinstance(play, PlayRequested)
    client.server.play(play, [(0, 65_535, 4_294_967_295)])
    (answer,) = Parser().feed(client.server.data_to_send())
    assert isinstance(answer, Response)
    assert answer.header("RTP-Info") == f"url={URL}/trackID=0;seq=65535;rtptime=4294967295"
    assert answer.header("Session") is not None


def test_a_player_sets_each_track_up_on_channels_of_its_own() -> None:
    client = Client()
    (describe,) = client.server.receive(Request("DESCRIBE", URL, (("CSeq", "1"), BEARER)).encode())
    assert isinstance(describe, DescribeRequested)
    client.server.describe(describe, b"v=0\r\n", 2)
    client.server.data_to_send()
    assert client.ask("SETUP", f"{URL}/trackID=0", PLAY_TCP).status == 200
    assert client.ask("SETUP", f"{URL}/trackID=1", PLAY_TCP).status == 400
    assert client.ask("SETUP", URL, PLAY_TCP).status == 404  # which of the two?
    udp = ("Transport", "RTP/AVP;unicast;client_port=5000-5001")
    assert client.ask("SETUP", f"{URL}/trackID=1", udp).status == 461
    free = ("Transport", "RTP/AVP/UDP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast")
    answer = client.ask("SETUP", f"{URL}?token=x/trackID=1", free)
    assert answer.header("Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1;mode=play"
    # The same track again: other channels for it.
    again = ("Transport", "RTP/AVP/TCP;unicast;interleaved=8-9")
    assert client.ask("SETUP", f"{URL}/trackID=0/", again).status == 200


def test_a_player_has_nothing_to_ask_for() -> None:
    client = Client()
    client.describe()
    assert client.ask("GET_PARAMETER", URL, BEARER, body=b"durable-until\r\n").status == 451


def test_a_player_can_be_refused() -> None:
    client = Client()
    (describe,) = client.server.receive(Request("DESCRIBE", URL, (("CSeq", "1"), BEARER)).encode())
    assert isinstance(describe, DescribeRequested)
    client.server.refuse(describe, 404, "Not found")
    assert client.server.data_to_send().startswith(b"RTSP/1.0 404 Not found")
    assert client.server.state is State.INIT
    assert client.ask("SETUP", f"{URL}/trackID=0", PLAY_TCP).status == 455


def test_the_owner_can_end_it() -> None:
    client = Client()
    client.record()
    client.server.close("replaced by a newer connection")
    assert list(client.server.receive(b"$\0\0\1x")) == [Closed("replaced by a newer connection")]


def test_a_session_id_needs_entropy() -> None:
    with pytest.raises(UsageError):
        ServerConnection(b"short")


@given(st.lists(st.sampled_from([*METHODS, "X"]), max_size=6), st.binary(max_size=60))
def test_whatever_comes_is_answered(methods: list[str], tail: bytes) -> None:
    server = ServerConnection(bytes(16))
    data = b"".join(
        Request(each, URL, (("CSeq", "1"), BEARER, TCP), H264.build()).encode() for each in methods
    )
    accept_all(server, data)
    answers = server.data_to_send().count(b"RTSP/1.0 ")
    assert answers == len(
        methods[: methods.index("TEARDOWN") + 1] if "TEARDOWN" in methods else methods
    )
    accept_all(server, tail)
