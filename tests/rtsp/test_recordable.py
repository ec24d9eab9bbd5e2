import pytest

from ucam.rtsp import sdp
from ucam.rtsp.recordable import is_supported, recordable
from ucam.rtsp.sdp import Media, SessionDescription

VIDEO = Media("video", 96, "H265", 90_000)
AUDIO = Media("audio", 97, "OPUS", 48_000, channels=2)


@pytest.mark.parametrize(
    "media",
    [
        VIDEO,
        Media("video", 96, "H264", 90_000, parameters={"packetization-mode": "1"}),
        AUDIO,
        Media("audio", 0, "PCMU", 8000),
        Media("audio", 97, "MP4A-LATM", 44_100, parameters={"cpresent": "0", "config": "40"}),
        Media("audio", 97, "MP4A-LATM", 44_100),
        Media("audio", 97, "MPEG4-GENERIC", 48_000, parameters={"mode": "AAC-hbr"}),
    ],
)
def test_what_can_be_recorded(media: Media) -> None:
    assert is_supported(media)


@pytest.mark.parametrize(
    "media",
    [
        Media("video", 96, "VP8", 90_000),
        Media("video", 96, "H264", 48_000),
        Media("video", 96, "H264", 90_000, parameters={"packetization-mode": "2"}),
        Media("video", 96, "H265", 90_000, parameters={"sprop-max-don-diff": "1"}),
        Media("audio", 97, "H264", 90_000),
        Media("video", 97, "OPUS", 48_000),
        Media("audio", 97, "OPUS", 8000),
        Media("audio", 97, "MPEG4-GENERIC", 48_000, parameters={"mode": "CELP-cbr"}),
        Media("audio", 0, "PCMU", 0),
        Media("audio", 97, "MP4A-LATM", 44_100, parameters={"cpresent": "0"}),
        Media("application", -1),
    ],
)
def test_what_cannot(media: Media) -> None:
    assert not is_supported(media)


def test_the_first_of_each_kind_is_recorded() -> None:
    other = Media("video", 96, "VP8", 90_000)
    assert recordable(SessionDescription((AUDIO, AUDIO, other, VIDEO, VIDEO))) == {0, 3}
    assert recordable(SessionDescription((AUDIO,))) == {0}
    assert recordable(SessionDescription((other,))) == frozenset()


def test_sound_beside_pictures_may_tell_in_the_stream_what_it_is() -> None:
    in_band = Media("audio", 97, "MP4A-LATM", 48_000)
    assert recordable(SessionDescription((VIDEO, in_band))) == {0, 1}


def test_static_payload_types_need_no_rtpmap() -> None:
    session = sdp.parse(b"v=0\r\nm=audio 0 RTP/AVP 0\r\nm=audio 0 RTP/AVP 8\r\nm=audio 0 RTP/AVP 3")
    assert [(media.encoding, media.clock_rate) for media in session.media] == [
        ("PCMU", 8000),
        ("PCMA", 8000),
        ("", 0),
    ]


def test_the_sets_of_h265_come_in_their_order() -> None:
    text = (
        b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n"
        b"a=fmtp:96 sprop-pps=RAE=; sprop-vps=QAE=; sprop-sps=QgE=\r\n"
    )
    (media,) = sdp.parse(text).media
    assert media.parameter_sets() == (b"\x40\x01", b"\x42\x01", b"\x44\x01")


def test_channels_are_read_and_written() -> None:
    (media,) = sdp.parse(SessionDescription((AUDIO,)).build()).media
    assert media.channels == 2
