"""The part of SDP (RFC 8866) that publishing video and audio needs."""

import base64
import binascii
import re
from dataclasses import dataclass, field, replace

from ucam.rtsp.errors import SDPError

NTP64_URI = "urn:ietf:params:rtp-hdrext:ntp-64"
MAX_NUMBER = (1 << 63) - 1
MAX_GAP = 200  # characters of a gap's reason
MAX_PARAMETERS = 64  # of a media's fmtp; known formats have about ten

_RUN = re.compile(r"([A-Za-z0-9._-]{1,64}) (\d{1,19})")
_MEDIA = re.compile(r"([a-z]{1,20}) \d{1,5}(?:/\d+)? (\S+) (\S+)(?: .*)?")
_RTPMAP = re.compile(r"(\d{1,3}) +([A-Za-z0-9._-]{1,64})/(\d{1,9})(?:/(\d{1,3}))?")
# Payload types that need no rtpmap (RFC 3551 §6), of those that can be recorded.
_STATIC = {0: ("PCMU", 8000), 8: ("PCMA", 8000)}
# Where H.264 and H.265 have their parameter sets (RFC 6184 §8.1, RFC 7798 §7.1), in this order.
_SETS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_EXTMAP = re.compile(r"(\d{1,3})(?:/[a-z]+)? (\S+)(?: .*)?")


@dataclass(frozen=True, slots=True)
class RunLine:
    """`a=ucam-run:ID FIRST`: the run of a publisher and its first access unit's number.

    `run`: 1 to 64 of letters, digits, `.`, `_`, `-`. `first_number`: below 2⁶³.
    """

    run: str
    first_number: int


@dataclass(frozen=True, slots=True)
class Media:
    """One m-line with its first payload type.

    `kind`: "video", "audio", … `payload_type`: −1 where the media are not RTP. `encoding`: the
    rtpmap's name in upper case ("H264"); "" when there is none. `parameters`: fmtp, names in lower
    case. `ntp64_id`: id of the RFC 6051 extension. `channels`: of audio.
    """

    kind: str
    payload_type: int
    encoding: str = ""
    clock_rate: int = 0
    control: str = ""
    parameters: dict[str, str] = field(default_factory=dict, repr=False)
    ntp64_id: int | None = None
    channels: int = 1

    def parameter_sets(self) -> tuple[bytes, ...]:
        """NAL units of H.264's `sprop-parameter-sets`, or of H.265's `sprop-vps`, `-sps` and
        `-pps`; raises `SDPError` for bad base64.
        """
        values = [self.parameters.get(name, "") for name in _SETS]
        try:
            sets = [
                base64.b64decode(each, validate=True)
                for value in values
                for each in value.split(",")
            ]
        except (binascii.Error, ValueError) as error:
            raise SDPError("parameter sets that are not base64") from error
        return tuple(each for each in sets if each)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session: its media in order, and ucam's run line if there is one.

    `gap`: why access units are missing before the first one, if some are; a few plain words.
    """

    media: tuple[Media, ...]
    run: RunLine | None = None
    gap: str | None = None

    def build(self) -> bytes:
        """The SDP text. Raises `SDPError` for a run line that could not be read back."""
        lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=ucam", "c=IN IP4 0.0.0.0", "t=0 0"]
        lines.append("a=control:*")
        if self.run is not None:
            text = f"{self.run.run} {self.run.first_number}"
            _parse_run(text)
            lines.append(f"a=ucam-run:{text}")
        if self.gap is not None:
            lines.append(f"a=ucam-gap:{_one_line(self.gap)}")
        for media in self.media:
            kind = media.payload_type
            lines.append(f"m={media.kind} 0 RTP/AVP {kind}")
            channels = f"/{media.channels}" if media.channels > 1 else ""
            lines.append(f"a=rtpmap:{kind} {media.encoding}/{media.clock_rate}{channels}")
            if media.parameters:
                values = ";".join(f"{name}={value}" for name, value in media.parameters.items())
                lines.append(f"a=fmtp:{kind} {values}")
            if media.ntp64_id is not None:
                lines.append(f"a=extmap:{media.ntp64_id} {NTP64_URI}")
            if media.control:
                lines.append(f"a=control:{media.control}")
        return "\r\n".join([*lines, ""]).encode()


def parse(text: bytes, *, max_media: int = 16, max_line: int = 16_384) -> SessionDescription:
    """Read an SDP; unknown lines are passed over. Raises `SDPError`."""
    try:
        lines = text.decode().splitlines()
    except UnicodeDecodeError as error:
        raise SDPError("an SDP that is not UTF-8") from error
    if not lines or lines[0].strip() != "v=0":
        raise SDPError("an SDP that does not begin with v=0")
    media: list[Media] = []
    run: RunLine | None = None
    gap: str | None = None
    for number, line in enumerate(lines, 1):
        if len(line) > max_line:
            raise SDPError(f"line {number} of the SDP is longer than {max_line} characters")
        try:
            if line.startswith("m="):
                media.append(_parse_media(line[2:]))
            elif line.startswith("a=ucam-run:"):
                run = _parse_run(line[11:])
            elif line.startswith("a=ucam-gap:"):
                gap = _one_line(line[11:]) or None
            elif line.startswith("a=") and media:
                media[-1] = _with_attribute(media[-1], line[2:])
        except SDPError as error:
            raise SDPError(f"line {number} of the SDP: {error}") from error
        if len(media) > max_media:
            raise SDPError(f"an SDP of more than {max_media} media")
    return SessionDescription(tuple(media), run, gap)


def h264_session(
    parameter_sets: tuple[bytes, ...], run: RunLine, *, payload_type: int = 96, ntp64_id: int = 1
) -> SessionDescription:
    """What ucam's own sender announces: one H.264 track (RFC 6184 §8.1) with capture times."""
    parameters = {"packetization-mode": "1"}
    if parameter_sets:
        parameters["profile-level-id"] = parameter_sets[0][1:4].hex()
        coded = [base64.b64encode(each).decode() for each in parameter_sets]
        parameters["sprop-parameter-sets"] = ",".join(coded)
    video = Media(
        kind="video",
        payload_type=payload_type,
        encoding="H264",
        clock_rate=90_000,
        control="streamid=0",
        parameters=parameters,
        ntp64_id=ntp64_id,
    )
    return SessionDescription((video,), run)


def camera_session(
    encoding: str,
    parameter_sets: tuple[bytes, ...],
    run: RunLine,
    *,
    payload_type: int = 96,
    ntp64_id: int = 1,
    opus_channels: int = 0,
) -> SessionDescription:
    """What ucam's own sender announces: its pictures ("H264" or "H265", RFC 7798 §7.1), and Opus
    (RFC 7587 §7) of so many channels beside them; its payload type is the next one.
    """
    if encoding == "H264":
        session = h264_session(parameter_sets, run, payload_type=payload_type, ntp64_id=ntp64_id)
    else:
        kinds = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
        coded: dict[str, list[str]] = {}
        for each in parameter_sets:
            coded.setdefault(kinds[each[0] >> 1 & 0x3F], []).append(base64.b64encode(each).decode())
        video = Media(
            kind="video",
            payload_type=payload_type,
            encoding=encoding,
            clock_rate=90_000,
            control="streamid=0",
            parameters={name: ",".join(values) for name, values in coded.items()},
            ntp64_id=ntp64_id,
        )
        session = SessionDescription((video,), run)
    if not opus_channels:
        return session
    # Whatever is in it, the rtpmap says two channels.
    audio = Media(
        kind="audio",
        payload_type=payload_type + 1,
        encoding="OPUS",
        clock_rate=48_000,
        control="streamid=1",
        parameters={"sprop-stereo": "1" if opus_channels == 2 else "0"},
        ntp64_id=ntp64_id,
        channels=2,
    )
    return replace(session, media=(*session.media, audio))


def _one_line(text: str) -> str:
    """A reason as people are told it: printable, and not long."""
    return "".join(each if each.isprintable() else " " for each in text)[:MAX_GAP].strip()


def _parse_media(value: str) -> Media:
    matched = _MEDIA.fullmatch(value)
    if matched is None:
        raise SDPError(f"a broken media line: {value[:60]!r}")
    kind, profile, payload_type = matched.groups()
    if not profile.startswith("RTP/"):
        return Media(kind=kind, payload_type=-1)
    if not re.fullmatch(r"\d{1,3}", payload_type) or int(payload_type) > 127:
        raise SDPError(f"no RTP payload type: {payload_type[:60]!r}")
    number = int(payload_type)
    encoding, clock_rate = _STATIC.get(number, ("", 0))
    return Media(kind=kind, payload_type=number, encoding=encoding, clock_rate=clock_rate)


def _parse_run(value: str) -> RunLine:
    matched = _RUN.fullmatch(value)
    if matched is None or int(matched[2]) > MAX_NUMBER:
        raise SDPError(f"no run and number: {value[:90]!r}")
    return RunLine(matched[1], int(matched[2]))


def _with_attribute(media: Media, attribute: str) -> Media:
    name, _, value = attribute.partition(":")
    match name:
        case "control":
            return replace(media, control=value.strip())
        case "rtpmap":
            matched = _RTPMAP.fullmatch(value.strip())
            if matched is None:
                raise SDPError(f"a broken rtpmap: {value[:60]!r}")
            if int(matched[1]) != media.payload_type:
                return media
            return replace(
                media,
                encoding=matched[2].upper(),
                clock_rate=int(matched[3]),
                channels=int(matched[4] or 1),
            )
        case "fmtp":
            kind, _, rest = value.strip().partition(" ")
            if kind != str(media.payload_type):
                return media
            pairs = (each.strip().partition("=") for each in rest.split(";"))
            found = {key.lower(): text.strip() for key, _, text in pairs if key}
            found = media.parameters | found
            if len(found) > MAX_PARAMETERS:
                raise SDPError(f"more than {MAX_PARAMETERS} format parameters")
            return replace(media, parameters=found)
        case "extmap":
            matched = _EXTMAP.fullmatch(value.strip())
            if matched is not None and matched[2] == NTP64_URI and 1 <= int(matched[1]) <= 255:
                return replace(media, ntp64_id=int(matched[1]))
    return media
