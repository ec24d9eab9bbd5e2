"""Where a client may put its token, and how it is asked for one."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from ucam.rtsp.errors import RTSPError
from ucam.rtsp.messages import Header, Request

# A token's characters (RFC 6750 §2.1) but for "/": a JWT has none, and clients put "/streamid=0"
# behind the query.
_QUERY_TOKEN = re.compile(r"[?&](?:token|auth)=([A-Za-z0-9\-._~+%=]+)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token as it came. `source`: "bearer", "basic" or "query"."""

    token: str = field(repr=False)
    source: str


def credentials(request: Request) -> Credentials | None:
    """The token of a request: `Authorization: Bearer`, the password of Basic, `?token=` or `?auth=`
    of its URI (also when the client has put `/streamid=0` behind it).

    Raises `RTSPError` (400) for two that disagree: which of them a part believes must never depend
    on where it looks.
    """
    shown = []
    for name, line in request.headers:
        scheme, _, value = line.partition(" ")
        if name.lower() != "authorization":
            continue
        if scheme.lower() == "bearer" and value.strip():
            shown.append(Credentials(value.strip(), "bearer"))
        if scheme.lower() == "basic" and (password := _basic_password(value.strip())):
            shown.append(Credentials(password, "basic"))
    shown += [Credentials(unquote(found), "query") for found in _QUERY_TOKEN.findall(request.uri)]
    if len({one.token for one in shown}) > 1:
        raise RTSPError("two different tokens in one request", 400)
    return shown[0] if shown else None


def path(uri: str) -> str:
    """The path of an RTSP URI without leading and trailing slash, query and what a client put
    behind it, percent-decoded: the JID.
    """
    return unquote(without_authority(uri).partition("?")[0]).strip("/")


def without_authority(uri: str) -> str:
    """A URI from its path on: clients write `rtsp://` or `rtsps://`, and hosts, as they like."""
    scheme, found, rest = uri.partition("://")
    if not found or "/" in scheme:
        return uri
    cut = re.search(r"[/?]", rest)
    return rest[cut.start() :] if cut else ""


def challenges() -> tuple[Header, ...]:
    """`WWW-Authenticate` for Basic and Bearer (never Digest: a JWT cannot answer one)."""
    return (("WWW-Authenticate", 'Basic realm="ucam"'), ("WWW-Authenticate", 'Bearer realm="ucam"'))


def _basic_password(value: str) -> str:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]
