"""The Transport header (RFC 2326 §12.39), and which track a SETUP means."""

import re

from ucam.rtsp.auth import without_authority
from ucam.rtsp.sdp import SessionDescription

_INTERLEAVED = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")


RECORD_MODES = ("record", "receive")
PLAY_MODES = ("play",)


def interleaved_channels(
    header: str, free: tuple[int, int], modes: tuple[str, ...] = RECORD_MODES
) -> tuple[int, int] | None:
    """The channels (RTP, RTCP) of the first alternative that is RTP over the connection itself;
    `free` when it names none. None when there is no such alternative, or it makes no sense.
    `modes`: what the alternative may be for; one that doesn't say is for the first of them.
    """
    for alternative in header.split(","):
        profile, *options = (part.strip() for part in alternative.split(";"))
        if profile.upper() != "RTP/AVP/TCP":
            continue
        values = dict(option.lower().partition("=")[::2] for option in options)
        if values.get("mode", modes[0]).strip('"') not in modes:
            continue
        if "interleaved" not in values:
            return free
        found = _INTERLEAVED.fullmatch(values["interleaved"])
        if found is None:
            return None
        rtp = int(found[1])
        rtcp = int(found[2]) if found[2] else rtp + 1
        return (rtp, rtcp) if rtp != rtcp and max(rtp, rtcp) <= 255 else None
    return None


def find_media(session: SessionDescription, uri: str) -> int | None:
    """Which m-line a SETUP's URI means, by its control attribute; None if none. Where the URI has
    a query, ffmpeg puts the control path behind it, GStreamer before it.
    """
    wanted = without_authority(uri)
    places = (wanted, wanted.partition("?")[0])
    best: tuple[int, int] | None = None
    for index, media in enumerate(session.media):
        control = without_authority(media.control)
        tail = "/" + control.lstrip("/")
        if control and any(place == control or place.endswith(tail) for place in places):
            best = max(best or (0, 0), (len(control), index))
    if best is None and len(session.media) == 1 and session.media[0].control in ("", "*"):
        return 0
    return best[1] if best else None
