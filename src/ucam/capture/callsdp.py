"""Texts of a live call: ICE servers for webrtcbin, what a viewer's answer must look like.

A viewer's answer comes from outside. What isn't an answer to our offer (one video, and one sound
where the camera has a microphone) ends the call before GStreamer sees it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from ucam.capture.run import Run
from ucam.media.track import VideoTrack
from ucam.protocol.messages import IceServer

MAX_LINES = 500
MAX_CANDIDATE_LENGTH = 512
PAYLOAD_TYPE = 96
SOUND_PAYLOAD_TYPE = 97
NO_H265 = (
    "This camera sends H.265, which your browser can't play live. Use a browser that can, such as"
    " Safari, or look at the camera's recordings."
)
_ICE_URL = re.compile(
    r"(stun|turns?):(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?"
)
_MEDIUM = re.compile(r"\b((?:video|audio)\d)(?:-([0-9a-f]{8}))?\b")
_LINE = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")
_CANDIDATE = re.compile(
    r"candidate:[A-Za-z0-9+/]{1,32} [12] (?:udp|tcp) \d{1,10} [A-Za-z0-9.:-]{1,255} \d{1,5}"
    r" typ (?:host|srflx|prflx|relay)(?: [\x21-\x7e]+)*",
    re.IGNORECASE,
)


class AnswerError(ValueError):
    """An SDP or candidate that is no answer to our offer."""


@dataclass(frozen=True, slots=True)
class IceSetup:
    """ICE servers as webrtcbin wants them: one STUN server, any number of TURN servers.

    `relay_only`: no way to the viewer but by TURN is tried.
    """

    stun: str | None = None
    turn: tuple[str, ...] = ()
    relay_only: bool = False


def ice_setup(servers: Iterable[IceServer], *, relay_only: bool = False) -> IceSetup:
    """Translate the room's ICE servers (RFC 7064, RFC 7065 URIs); others are passed over."""
    stun: str | None = None
    turn: list[str] = []
    for server in servers:
        for url in server.urls:
            match = _ICE_URL.fullmatch(url)
            if match is None:
                continue
            scheme, host, port, transport = match.groups()
            address = f"{host}:{port or (5349 if scheme == 'turns' else 3478)}"
            if scheme == "stun":
                stun = stun or f"stun://{address}"
            elif server.username and server.credential:
                user, password = quote(server.username, safe=""), quote(server.credential, safe="")
                turn.append(
                    f"{scheme}://{user}:{password}@{address}?transport={transport or 'udp'}"
                )
    return IceSetup(stun, tuple(turn), relay_only)


def profile_level_id(track: VideoTrack) -> str:
    """Profile, constraints and level in hexadecimal, as in RFC 6184 §8.1."""
    return track.codec_string.partition(".")[2].lower()


def marked_offer(sdp: str, mark: str) -> str:
    """webrtcbin's offer, its media named as in no other: an answer repeats their names (RFC 9429
    §5.3.1). `mark`: eight hexadecimal digits.
    """
    return _MEDIUM.sub(rf"\1-{mark}", sdp)


def unmarked_answer(sdp: str, mark: str) -> str | None:
    """The answer with the names that webrtcbin gave; None: it belongs to another offer."""
    if any(other not in ("", mark) for _, other in _MEDIUM.findall(sdp)):
        return None
    return _MEDIUM.sub(r"\1", sdp)


def checked_answer(sdp: str, *, profile_level_id: str = "", sound: bool = False) -> str:
    """The answer, fit for webrtcbin; raises `AnswerError`. `profile_level_id`: that of the offer,
    none when it offered H.265; `sound`: it was offered, too.

    Browsers answer with their own profile-level-id; webrtcbin wants to see its own again.
    """
    lines = sdp.replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if not 5 <= len(lines) <= MAX_LINES or lines[0] != "v=0":
        raise AnswerError("no session description")
    if not all(_LINE.fullmatch(line) for line in lines):
        raise AnswerError("a line that is none of SDP")
    starts = [number for number, line in enumerate(lines) if line.startswith("m=")]
    if len(starts) != 1 + sound:
        raise AnswerError(f"{len(starts)} media, {1 + sound} offered")
    video = lines[starts[0] : starts[1] if sound else None]
    port = _checked_medium(video[0], "video", PAYLOAD_TYPE)
    if port == "0" and not profile_level_id:
        raise AnswerError(NO_H265)
    if port == "0" or "a=inactive" in video or "a=sendonly" in video:
        raise AnswerError("the viewer wants no video")
    for name in ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:sha-", "a=setup:"):
        if not any(line.startswith(name) for line in video + lines[: starts[0]]):
            raise AnswerError(f"{name[2:].rstrip(':sha-')} is missing")
    if sound:
        _checked_medium(lines[starts[1]], "audio", SOUND_PAYLOAD_TYPE)
    text = "\r\n".join(lines) + "\r\n"
    return re.sub(r"profile-level-id=[0-9A-Fa-f]{6}", f"profile-level-id={profile_level_id}", text)


def _checked_medium(line: str, kind: str, payload: int) -> str:
    """The port of an m-line (RFC 8866 §5.14); 0 refuses the medium."""
    got, port, profile, *payloads = [*line[2:].split(" "), "", "", ""][:64]
    fits = port == "0" or str(payload) in payloads
    if got != kind or "SAVPF" not in profile or not fits:
        raise AnswerError(f"it is not the {kind} that was offered")
    return port


def checked_candidate(candidate: str) -> str | None:
    """An ICE candidate (RFC 8839 §5.1), None for the one that says "no more".

    Raises `AnswerError`.
    """
    if not candidate.strip():
        return None
    candidate = candidate.strip().removeprefix("a=")
    if len(candidate) > MAX_CANDIDATE_LENGTH or not _CANDIDATE.fullmatch(candidate):
        raise AnswerError("no ICE candidate")
    return candidate


def readiness(run: Run) -> str:
    """An SDP that describes the camera's tracks: what an `OfferMedia` without `to` carries."""
    track, number = run.track, PAYLOAD_TYPE
    if track.codec == "h264":
        codec = [
            f"a=rtpmap:{number} H264/90000",
            f"a=fmtp:{number} packetization-mode=1;profile-level-id={profile_level_id(track)}",
        ]
    else:
        codec = [f"a=rtpmap:{number} H265/90000"]
    sound = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {SOUND_PAYLOAD_TYPE}",
        "c=IN IP4 0.0.0.0",
        f"a=rtpmap:{SOUND_PAYLOAD_TYPE} opus/48000/2",
        "a=sendonly",
    ]
    return "\r\n".join(
        (
            "v=0",
            "o=- 0 0 IN IP4 0.0.0.0",
            "s=ucam",
            "t=0 0",
            f"m=video 9 UDP/TLS/RTP/SAVPF {number}",
            "c=IN IP4 0.0.0.0",
            *codec,
            f"a=imageattr:{number} send [x={track.width},y={track.height}]",
            "a=sendonly",
            *(sound if run.audio is not None else ()),
            "",
        )
    )
