"""The description that players get (RFC 2326 §10.2): the publisher's media, under our control."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from ucam.rtsp.auth import without_authority
from ucam.rtsp.errors import SDPError

CONTROL = "trackID="
# What a player needs to decode; whatever else a publisher wrote stays here.
_KEPT = ("a=rtpmap:", "a=fmtp:", "a=extmap:", "a=ptime:", "a=framerate:", "a=framesize:", "b=")
_MEDIA_LINE = re.compile(r"m=([a-z]+) \d+(?:/\d+)? (.*)")
_TRACK = re.compile(rf"/{CONTROL}(\d{{1,3}})/?$")
_CREDENTIALS = ("token", "auth")


def presentation(announced: bytes, served: Sequence[int]) -> bytes:
    """An SDP of those media of a publisher's SDP whose places (from 0) are `served`, in that order.

    The track `n` of it has the control path `trackID=n`. Raises `SDPError`.
    """
    try:
        lines = announced.decode().splitlines()
    except UnicodeDecodeError as error:
        raise SDPError("an SDP that is not UTF-8") from error
    places = [number for number, line in enumerate(lines) if line.startswith("m=")]
    ends = [*places[1:], len(lines)]
    made = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=ucam", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    for track, place in enumerate(served):
        if place >= len(places):
            raise SDPError(f"an SDP without a media line {place}")
        head = _MEDIA_LINE.fullmatch(lines[places[place]].rstrip())
        if head is None:
            raise SDPError(f"a broken media line: {lines[places[place]][:60]!r}")
        made.append(f"m={head[1]} 0 {head[2]}")
        made += [
            line.rstrip()
            for line in lines[places[place] + 1 : ends[place]]
            if line.startswith(_KEPT)
        ]
        made.append(f"a=control:{CONTROL}{track}")
    return "\r\n".join([*made, ""]).encode()


def base_of(uri: str) -> str:
    """The Content-Base of a described URI: without its query, which may hold a token."""
    return uri.partition("?")[0].rstrip("/") + "/"


def track_of(uri: str, tracks: int) -> int | None:
    """Which of so many tracks a SETUP's URI means; None if none of them.

    Clients put the control path before the query or behind it.
    """
    wanted = without_authority(uri)
    for place in (wanted, wanted.partition("?")[0]):
        if (found := _TRACK.search(place)) is not None:
            number = int(found[1])
            return number if number < tracks else None
    # A session of one track may be set up as a whole (RFC 2326 §C.3).
    return 0 if tracks == 1 else None


def options_of(uri: str) -> dict[str, str]:
    """What stands in a URI's query, in lower case; never a token."""
    query = without_authority(uri).partition("?")[2]  # `urlsplit` raises for some
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        return {}
    return {
        name.lower(): value.rstrip("/") for name, value in pairs if name.lower() not in _CREDENTIALS
    }
