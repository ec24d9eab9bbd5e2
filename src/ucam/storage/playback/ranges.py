"""Which bytes of a file are wanted, if any: ranges and conditions of RFC 9110 (§13, §14)."""

import re
from dataclasses import dataclass, field

from ucam.storage.playback.answers import Problem, Request

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes [begin, end) with status 200 or 206; or none of them, with 304."""

    status: int
    begin: int
    end: int
    headers: dict[str, str] = field(default_factory=dict)


def wanted_part(request: Request, size: int, etag: str = "", *, grows: bool = False) -> Part:
    """What to send of a file of `size` bytes. `etag`: its strong tag, none while it changes;
    `grows`: its last size isn't known. Raises `Problem`.
    """
    headers = {"accept-ranges": "bytes", **({"etag": etag} if etag else {})}
    if etag and is_known(request, etag):
        return Part(304, 0, 0, headers)
    # Of another file than the one that the client has the beginning of, it wants all (§13.1.5).
    # A date never matches: none is given out.
    applies = request.if_range is None or (etag != "" and request.if_range.strip() == etag)
    wanted = byte_range(request.range, size) if applies and request.range is not None else None
    if wanted is None:
        return Part(200, 0, size, headers)
    begin, end = wanted
    headers["content-range"] = f"bytes {begin}-{end - 1}/{'*' if grows else size}"
    return Part(206, begin, end, headers)


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this already (If-None-Match, §13.1.2)."""
    if request.if_none_match is None:
        return False
    if request.if_none_match.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(tag.removeprefix("W/") == opaque for tag in _TAG.findall(request.if_none_match))


def byte_range(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last, of `bytes=A-B`, `bytes=A-` or `bytes=-N` (§14.1.2);
    None: all of it, for several ranges at a time, or in another unit, are passed over (§14.2).
    Raises `Problem`.
    """
    if "," in wanted or not wanted.lstrip().startswith("bytes="):
        return None
    match = _RANGE.fullmatch(wanted.lstrip())
    if match is None or match[1] == match[2] == "":
        raise Problem(400, "bad-range", 'write the range as "bytes=0-999"')
    if match[1] == "":
        begin, end = max(0, size - int(match[2])), size
    else:
        begin = int(match[1])
        end = size if match[2] == "" else min(size, int(match[2]) + 1)
    if begin >= end:
        unsatisfied = {"content-range": f"bytes */{size}"}
        raise Problem(416, "bad-range", f"there are {size} bytes", unsatisfied)
    return begin, end
