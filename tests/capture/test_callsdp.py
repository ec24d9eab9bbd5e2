from dataclasses import replace

import pytest

from capture.samples import TRACK
from ucam.capture.callsdp import (
    AnswerError,
    IceSetup,
    checked_answer,
    checked_candidate,
    ice_setup,
    marked_offer,
    profile_level_id,
    readiness,
    unmarked_answer,
)
from ucam.capture.run import Run
from ucam.media.track import AudioTrack
from ucam.protocol.messages import IceServer

ANSWER = "\r\n".join(
    (
        "v=0",
        "o=- 4004328102 4004328102 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE video0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 0.0.0.0",
        "a=recvonly",
        "a=mid:video0",
        "a=rtcp-mux",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42E01F",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=ice-ufrag:bQUm",
        "a=ice-pwd:mGjEle5x0UC97f8GmNDerd",
        "a=fingerprint:sha-256 18:ED:64",
        "a=setup:active",
        "",
    )
)


MARK, OTHER = "0123abcd", "deadbeef"


def test_an_answer_tells_which_offer_it_belongs_to() -> None:
    with_sound = ANSWER.replace("video0\r\n", "video0 audio1\r\n", 1) + "a=mid:audio1\r\n"
    for text in (ANSWER, with_sound):
        marked = marked_offer(text, MARK)
        assert f"a=mid:video0-{MARK}\r\n" in marked
        assert len(marked) == len(text) + 9 * (text.count("video0") + text.count("audio1"))
        assert unmarked_answer(marked, MARK) == text
        assert unmarked_answer(marked, OTHER) is None
    assert f"BUNDLE video0-{MARK} audio1-{MARK}\r\n" in marked_offer(with_sound, MARK)


@pytest.mark.parametrize("text", ["", "nonsense", ANSWER, "m=video 9 x", "a=mid:0\r\na=mid:data"])
def test_an_answer_without_our_names_is_looked_at_further(text: str) -> None:
    assert unmarked_answer(text, MARK) == text


def test_an_answer_keeps_all_but_the_level() -> None:
    got = checked_answer(ANSWER, profile_level_id="42c01f")
    assert got == ANSWER.replace("42E01F", "42c01f")
    assert checked_answer(ANSWER.replace("\r\n", "\n"), profile_level_id="42c01f") == got


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=0", "v=1"),
        ("m=video 9", "m=video 0"),
        ("m=video", "m=application"),
        ("SAVPF 96 97", "SAVPF 98"),
        ("SAVPF 96 97", ""),
        ("a=recvonly", "a=inactive"),
        ("a=recvonly", "a=sendonly"),
        ("a=ice-ufrag:bQUm\r\n", ""),
        ("a=setup:active\r\n", ""),
        ("a=fingerprint:sha-256 18:ED:64\r\n", ""),
        ("a=mid:video0", "a=mid:video0\x00"),
        ("a=mid:video0", "mid:video0"),
        ("a=setup:active\r\n", "a=setup:active\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"),
    ],
)
def test_what_is_no_answer_to_our_offer_is_refused(old: str, new: str) -> None:
    assert old in ANSWER
    with pytest.raises(AnswerError):
        checked_answer(ANSWER.replace(old, new), profile_level_id="42c01f")


@pytest.mark.parametrize(
    "candidate",
    [
        "candidate:842163049 1 udp 1677729535 203.0.113.7 50000 typ srflx raddr 0.0.0.0 rport 0"
        " generation 0 ufrag bQUm network-cost 999",
        "candidate:0 1 UDP 2122252543 3b1f0a3e-5f5c-4d0e-9f0a-1c2d3e4f5a6b.local 50000 typ host",
        "candidate:1 1 TCP 1518280447 fd00::2 9 typ host tcptype active",
        "a=candidate:f957a2332b17 1 udp 2130706431 192.0.2.2 54221 typ relay raddr ::1 rport 5",
    ],
)
def test_candidates_of_browsers(candidate: str) -> None:
    assert checked_candidate(candidate) == candidate.removeprefix("a=")


@pytest.mark.parametrize(
    "candidate",
    ["x", "candidate:", "candidate:1 1 udp 1 1.2.3.4 5 typ x", "candidate:" + "1" * 600],
)
def test_what_is_no_candidate(candidate: str) -> None:
    with pytest.raises(AnswerError):
        checked_candidate(candidate)


def test_the_empty_candidate_ends_them() -> None:
    assert checked_candidate("") is None


def test_ice_servers_as_webrtcbin_wants_them() -> None:
    servers = (
        IceServer(urls=("stun:stun.example.com", "stun:second.example.com:3478")),
        IceServer(
            urls=("turn:turn.example.com:3479?transport=tcp", "turns:[fd00::2]"),
            username="1795325400:cam001@studio.loc",
            credential="a/b+c=",
        ),
        IceServer(urls=("turn:no.credentials.example.com", "http://nonsense", "stun:a b")),
    )
    user = "1795325400%3Acam001%40studio.loc:a%2Fb%2Bc%3D"
    assert ice_setup(servers) == IceSetup(
        "stun://stun.example.com:3478",
        (
            f"turn://{user}@turn.example.com:3479?transport=tcp",
            f"turns://{user}@[fd00::2]:5349?transport=udp",
        ),
    )


def test_readiness_describes_the_track() -> None:
    text = readiness(Run(replace(TRACK, width=1280, height=720)))
    assert "profile-level-id=42c01f" in text
    assert "[x=1280,y=720]" in text
    assert profile_level_id(TRACK) == "42c01f"


SOUND = "\r\n".join(
    (
        "m=audio 9 UDP/TLS/RTP/SAVPF 97",
        "c=IN IP4 0.0.0.0",
        "a=recvonly",
        "a=mid:audio1",
        "a=rtpmap:97 opus/48000/2",
        "",
    )
)


def test_an_answer_with_sound() -> None:
    answered = ANSWER + SOUND
    assert checked_answer(answered, profile_level_id="42c01f", sound=True).endswith(SOUND)
    refused = SOUND.replace("audio 9", "audio 0").replace("SAVPF 97", "SAVPF 0")
    assert checked_answer(ANSWER + refused, profile_level_id="42c01f", sound=True)
    for wrong in ("", SOUND.replace("97", "98"), SOUND.replace("m=audio", "m=video"), 2 * SOUND):
        with pytest.raises(AnswerError):
            checked_answer(ANSWER + wrong, profile_level_id="42c01f", sound=True)
    with pytest.raises(AnswerError):  # none was offered
        checked_answer(answered, profile_level_id="42c01f")


def test_who_cannot_play_h265_is_told_so() -> None:
    answer = ANSWER.replace("m=video 9", "m=video 0").replace("SAVPF 96 97", "SAVPF 0")
    with pytest.raises(AnswerError, match=r"H\.265, which your browser can't play live"):
        checked_answer(answer)
    with pytest.raises(AnswerError, match="wants no video"):
        checked_answer(answer, profile_level_id="42c01f")


def test_readiness_describes_h265_and_sound() -> None:
    run = Run(replace(TRACK, codec="h265"), AudioTrack.opus(1))
    text = readiness(run)
    assert "H265/90000" in text
    assert "profile-level-id" not in text
    assert "a=rtpmap:97 opus/48000/2" in text
