"""Real publishers, at every split."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsp.peers import NAMES, accept_all, flat, peer
from ucam.rtsp.messages import Interleaved
from ucam.rtsp.parser import Parser
from ucam.rtsp.server import Announced, Closed, Media, Recording, ServerConnection

TOKEN = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJjYW0wMDFAc3R1ZGlvLmxvYyJ9.c2lnbmF0dXJl"


def test_all_five_are_here() -> None:
    assert len(NAMES) == 5


@pytest.mark.parametrize("name", NAMES)
def test_a_publisher_comes_to_record_with_its_token(name: str) -> None:
    sent = peer(name)
    connection = ServerConnection(sent.entropy)
    events = accept_all(connection, sent.data)
    announced, recording, *rest = events
    assert isinstance(announced, Announced)
    assert announced.path == "cam001@studio.loc"
    expected = (TOKEN, "query") if "query" in name else ("shorttoken", "basic")
    assert (announced.credentials.token, announced.credentials.source) == expected
    assert isinstance(recording, Recording)
    assert all(track.supported for track in recording.tracks)
    video = [track for track in recording.tracks if track.media.kind == "video"]
    assert [track.media.encoding for track in video] == ["H264"]
    assert len(video[0].media.parameter_sets()) == 2
    assert video[0].media.ntp64_id == (1 if "ntp64" in name else None)
    assert len(recording.tracks) == (2 if "audio" in name else 1)
    wanted = {c for each in recording.tracks for c in (each.rtp_channel, each.rtcp_channel)}
    packets = [
        channel for event in rest if isinstance(event, Media) for channel, _ in event.packets
    ]
    assert len(packets) > 50
    # Each of them sent media; a report is not always due within two seconds.
    assert {each.rtp_channel for each in recording.tracks} <= set(packets) <= wanted
    if name.startswith("ffmpeg"):  # rtspclientsink just goes
        assert events[-1] == Closed("TEARDOWN")
    assert b"401 Unauthorized" in connection.data_to_send() or "query" in name


@pytest.mark.parametrize("name", NAMES)
def test_every_split_gives_the_same_messages(name: str) -> None:
    sent = peer(name).data
    whole = messages([sent])
    assert messages([sent[n : n + 1] for n in range(len(sent))]) == whole
    # Two pieces, at every place of the requests and of the first packets.
    start = max(0, sent.index(b"RECORD ") - 2000)
    for place in [*range(start, start + 4000), *range(1, len(sent), 211)]:
        assert messages([sent[:place], sent[place:]]) == whole


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 1000, 16_384])
def test_every_piece_size_gives_the_same_events_and_answers(name: str, size: int) -> None:
    sent = peer(name)
    whole, split = ServerConnection(sent.entropy), ServerConnection(sent.entropy)
    expected = flat(accept_all(whole, sent.data))
    found: list[object] = []
    for place in range(0, len(sent.data), size):
        found += flat(accept_all(split, sent.data[place : place + size]))
    assert found == expected
    assert split.data_to_send() == whole.data_to_send()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_garbled_publishers_are_answered_or_closed_and_nothing_raises(
    name: str, draw: st.DataObject
) -> None:
    sent = peer(name)
    data = bytearray(sent.data)
    requests = sent.data.index(b"RECORD ") + 300
    for _ in range(draw.draw(st.integers(1, 5))):
        place = draw.draw(st.integers(0, requests))
        data[place] = draw.draw(st.sampled_from(b"\r\n :;=$/?0aA\xff\0") | st.integers(0, 255))
    server = ServerConnection(sent.entropy)
    half = draw.draw(st.integers(0, requests))
    events = accept_all(server, bytes(data[:half])) + accept_all(server, bytes(data[half:]))
    server.data_to_send()
    assert sum(isinstance(event, Closed) for event in events) <= 1
    assert not any(isinstance(event, Closed) for event in events[:-1])


def messages(pieces: list[bytes]) -> list[object]:
    parser, found = Parser(), list[object]()
    for piece in pieces:
        for item in parser.feed(piece):
            if isinstance(item, Interleaved):
                found += [(channel, bytes(packet)) for channel, packet in item.packets]
            else:
                found.append(item)
    return found
