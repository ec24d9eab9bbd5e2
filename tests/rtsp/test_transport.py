import pytest

from ucam.rtsp.sdp import Media, SessionDescription
from ucam.rtsp.transport import find_media, interleaved_channels


@pytest.mark.parametrize(
    ("header", "channels"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1;mode=record", (0, 1)),
        ("RTP/AVP/TCP;unicast;interleaved=2-3;mode=RECORD", (2, 3)),
        ('rtp/avp/tcp; interleaved=4 ;mode="RECORD"', (4, 5)),
        ("RTP/AVP/TCP;unicast", (8, 9)),
        ("RTP/AVP/UDP;client_port=1-2,RTP/AVP/TCP;interleaved=6-7", (6, 7)),
        ("RTP/AVP;unicast;client_port=5000-5001", None),
        ("RTP/AVP/TCP;interleaved=0-256", None),
        ("RTP/AVP/TCP;interleaved=3-3", None),
        ("RTP/AVP/TCP;interleaved=255", None),
        ("RTP/AVP/TCP;interleaved=0-1;mode=play", None),
        ("RTP/AVP/TCP;interleaved=x", None),
        ("", None),
    ],
)
def test_channels(header: str, channels: tuple[int, int] | None) -> None:
    assert interleaved_channels(header, (8, 9)) == channels


def session(*controls: str) -> SessionDescription:
    return SessionDescription(tuple(Media("video", 96, control=each) for each in controls))


@pytest.mark.parametrize(
    ("uri", "controls", "index"),
    [
        ("rtsps://h/cam/streamid=1", ["streamid=0", "streamid=1"], 1),
        ("rtsps://h/cam?token=a.b/streamid=0", ["streamid=0", "streamid=1"], 0),
        ("rtsp://h/cam/stream=1?token=a.b", ["stream=1", "stream=0"], 0),
        ("rtsp://h/cam/a/track", ["track", "a/track"], 1),
        ("rtsp://h/cam/track", ["rtsps://other:1/cam/track"], 0),
        ("rtsp://h/cam", [""], 0),
        ("rtsp://h/cam", ["*"], 0),
        ("rtsp://h/cam", ["", ""], None),
        ("rtsp://h/cam/streamid=2", ["streamid=0", "streamid=1"], None),
        ("rtsp://h/cam/xstreamid=0", ["streamid=0"], None),
    ],
)
def test_a_track_is_found_by_its_control(uri: str, controls: list[str], index: int | None) -> None:
    assert find_media(session(*controls), uri) == index
