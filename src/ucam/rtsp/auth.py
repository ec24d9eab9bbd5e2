"""Where a client may put its token, and how it is asked for one."""

from dataclasses import dataclass, field

from ucam.rtsp.messages import Header, Request


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token as it came. `source`: "bearer", "basic" or "query"."""

    token: str = field(repr=False)
    source: str


def credentials(request: Request) -> Credentials | None:
    """The token of a request: `Authorization: Bearer`, else the password of Basic, else `?token=`
    or `?auth=` of its URI (also when the client has put `/streamid=0` behind it).
    """
    raise NotImplementedError


def path(uri: str) -> str:
    """The path of an RTSP URI without leading and trailing slash, query and what a client put
    behind it, percent-decoded: the JID.
    """
    raise NotImplementedError


def challenges() -> tuple[Header, ...]:
    """`WWW-Authenticate` for Basic and Bearer (never Digest: a JWT cannot answer one)."""
    raise NotImplementedError
