import pytest

from ucam.rtsp import SDPError
from ucam.rtsp.presentation import base_of, options_of, presentation, track_of

ANNOUNCED = b"""v=0
o=- 12 34 IN IP4 10.0.0.7
s=secret name of the camera
c=IN IP4 10.0.0.9
t=0 0
a=ucam-run:R 7
m=application 5 RTP/AVP 99
a=control:streamid=9
m=video 0 RTP/AVP 96
b=AS:4000
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2Q=,aO4=
a=extmap:1 urn:ietf:params:rtp-hdrext:ntp-64
a=control:streamid=0
a=unknown:x
m=audio 7004/2 RTP/AVP 8
a=ptime:20
a=control:rtsp://camera/streamid=1
""".replace(b"\n", b"\r\n")


def test_the_publishers_media_under_our_own_control() -> None:
    assert presentation(ANNOUNCED, [1, 2]).decode().splitlines() == [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        "s=ucam",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "m=video 0 RTP/AVP 96",
        "b=AS:4000",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2Q=,aO4=",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ntp-64",
        "a=control:trackID=0",
        "m=audio 0 RTP/AVP 8",
        "a=ptime:20",
        "a=control:trackID=1",
    ]


def test_what_is_not_there_is_not_served() -> None:
    with pytest.raises(SDPError):
        presentation(ANNOUNCED, [3])
    with pytest.raises(SDPError):
        presentation(b"v=0\xff", [0])


@pytest.mark.parametrize(
    ("uri", "tracks", "track"),
    [
        ("rtsp://h:1/a@b/trackID=0", 2, 0),
        ("rtsps://h/a@b/trackID=1/", 2, 1),
        ("rtsps://h/a@b?token=x.y.z/trackID=1", 2, 1),
        ("rtsps://h/a@b/trackID=1?token=x.y.z", 2, 1),
        ("rtsps://h/a@b/trackID=2", 2, None),
        ("rtsps://h/a@b/streamid=0", 2, None),
        ("rtsps://h/a@b", 1, 0),
        ("rtsps://h/a@b", 2, None),
    ],
)
def test_which_track_a_setup_means(uri: str, tracks: int, track: int | None) -> None:
    assert track_of(uri, tracks) == track


def test_no_token_leaves_the_query() -> None:
    assert base_of("rtsps://h:1/a@b?token=x&gop=0") == "rtsps://h:1/a@b/"
    assert options_of("rtsps://h:1/a@b?token=x&GOP=0&auth=y") == {"gop": "0"}
    assert options_of("rtsps://h:1/a@b?" + "&".join("abcdefghijklmnopqrstuvwxyz")) == {}


def test_a_query_behind_half_an_ipv6_address() -> None:
    assert options_of("rtsps://h//[a?latency=low&token=secret") == {"latency": "low"}
