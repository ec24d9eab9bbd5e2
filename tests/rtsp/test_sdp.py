from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp.peers import VECTORS
from ucam.rtsp import sdp
from ucam.rtsp.errors import SDPError
from ucam.rtsp.recordable import recordable

SPS, PPS = b"\x67\x64\x00\x1f\xac", b"\x68\xee\x3c"


def test_what_ucam_announces_is_read_back() -> None:
    session = sdp.h264_session((SPS, PPS), sdp.RunLine("run-1", 17))
    found = sdp.parse(session.build())
    assert found == session
    assert found.media[0].parameter_sets() == (SPS, PPS)
    assert found.media[0].parameters["profile-level-id"] == "64001f"
    assert found.media[0].ntp64_id == 1
    assert b"a=ucam-run:run-1 17\r\n" in session.build()


def test_h265_and_sound_are_read_back() -> None:
    sets = (b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1", b"\x44\x01\xc2")
    session = sdp.camera_session("H265", sets, sdp.RunLine("run-1", 3), opus_channels=1)
    found = sdp.parse(session.build())
    assert found == session
    video, audio = found.media
    assert video.parameter_sets() == sets
    assert (audio.encoding, audio.clock_rate, audio.channels) == ("OPUS", 48_000, 2)
    assert video.payload_type != audio.payload_type
    assert recordable(found) == {0, 1}
    plain = sdp.camera_session("H264", (SPS, PPS), sdp.RunLine("run-1", 3))
    assert plain == sdp.h264_session((SPS, PPS), sdp.RunLine("run-1", 3))


def announced(name: str) -> sdp.SessionDescription:
    data = (VECTORS / name).read_bytes()
    start = data.index(b"v=0")
    return sdp.parse(data[start : data.index(b"RTSP/1.0", start)].rpartition(b"\r\n")[0])


def test_ffmpeg() -> None:
    audio, video = announced("ffmpeg-5.1-basic-audio-first.txt").media
    assert (audio.kind, audio.encoding, audio.clock_rate) == ("audio", "MPEG4-GENERIC", 44_100)
    assert (video.kind, video.encoding, video.control) == ("video", "H264", "streamid=1")
    assert [nal[0] & 31 for nal in video.parameter_sets()] == [7, 8]


def test_rtspclientsink() -> None:
    (video,) = announced("gst-1.22-ntp64.txt").media
    assert (video.payload_type, video.control, video.ntp64_id) == (96, "stream=0", 1)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["v=1"],
        ["v=0", "m=video"],
        ["v=0", "m=video 0 RTP/AVP 200"],
        ["v=0", "m=video 0 RTP/AVP 96", "a=rtpmap:96"],
        ["v=0", "a=ucam-run:"],
        ["v=0", "a=ucam-run:run"],
        ["v=0", "a=ucam-run:../x 1"],
        ["v=0", "a=ucam-run:run 9223372036854775808"],
        ["v=0", *["m=video 0 RTP/AVP 96"] * 17],
        ["v=0", "a=" + "x" * 20_000],
    ],
)
def test_what_cannot_be_read_is_told(lines: list[str]) -> None:
    with pytest.raises(SDPError):
        sdp.parse("\r\n".join(lines).encode())


def test_unknown_lines_and_other_payload_types_are_passed_over() -> None:
    text = (
        "v=0\nx=?\nm=video 0 RTP/AVP 96 97\na=rtpmap:97 VP8/90000\na=fmtp:97 a=b\n"
        "a=rtpmap:96 h264/90000\na=fmtp:96 Packetization-Mode=1; x\na=extmap:3/sendonly urn:other\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=sendrecv\n"
    )
    video, other = sdp.parse(text.encode()).media
    assert (video.encoding, video.ntp64_id) == ("H264", None)
    assert video.parameters == {"packetization-mode": "1", "x": ""}
    assert (other.kind, other.payload_type) == ("application", -1)


def test_bad_base64_is_told() -> None:
    media = sdp.Media("video", 96, parameters={"sprop-parameter-sets": "Z2Q,%%"})
    with pytest.raises(SDPError):
        media.parameter_sets()
    assert sdp.Media("video", 96).parameter_sets() == ()


def test_a_run_that_cannot_be_read_back_is_not_written() -> None:
    with pytest.raises(SDPError):
        sdp.h264_session((), sdp.RunLine("a b", 1)).build()


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_sdp_errors(data: bytes) -> None:
    for text in (data, b"v=0\r\nm=video 0 RTP/AVP 96\r\na=" + data):
        with suppress(SDPError):
            assert isinstance(sdp.parse(text), sdp.SessionDescription)


def test_vectors_are_where_the_readme_says() -> None:
    readme = Path(VECTORS / "README.md").read_text()
    for path in VECTORS.glob("*.txt"):
        assert f"`{path.name}`" in readme


def test_a_reason_for_a_gap_is_one_printable_line_of_limited_length() -> None:
    session = replace(
        sdp.h264_session((), sdp.RunLine("a", 0)), gap="full\r\na=ucam-run:b 7 \0" * 20
    )
    text = session.build()
    assert len([line for line in text.splitlines() if line.startswith(b"a=ucam-")]) == 2
    gap = sdp.parse(text).gap
    assert gap is not None
    assert gap.startswith("full  a=ucam-run:b 7")
    assert len(gap) <= sdp.MAX_GAP
    assert sdp.parse(text).run == sdp.RunLine("a", 0)
