"""`POST /playback`: a token with which a viewer's browser asks a storage in its own network.

The page's own token would do, but whoever runs a storage would then hold a token that opens all
that its owner may see. This one shows the recordings of one storage's locations and does nothing
else; it is refused as soon as the person's session has ended.
"""

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar import Response, post
from litestar.connection import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from ucam.base.times import format_utc
from ucam.web.access import Party
from ucam.web.audit import AuditLog
from ucam.web.auth import Authority, TokenAnswer, bare_jid, client_of
from ucam.web.errors import NotHere, problems
from ucam.web.sessions import Sessions

VALIDITY_S = 3600.0
# Nothing that a storage says may become more than one address in the page's policy.
ORIGIN = re.compile(r"https://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\]):[0-9]{1,5}")


class PlaybackRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which storage: its bare JID."""

    storage: str


def origins(statuses: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where storages that say so can be asked by browsers in their network."""
    told = (status.get("https") for status in statuses)
    return sorted({one for one in told if isinstance(one, str) and ORIGIN.fullmatch(one)})


def routes(authority: Authority, sessions: Sessions, audit: AuditLog) -> list[HTTPRouteHandler]:
    """The handlers of this module."""

    @post(
        "/playback",
        status_code=200,
        summary="A token for one storage's recordings over HTTPS",
        tags=["login"],
        responses=problems(400, 401, 403, 404, 413),
    )
    async def playback(
        request: Request[Any, Any, Any], data: JSONBody[PlaybackRequest | None] = None
    ) -> Response[TokenAnswer]:
        """A player's token, for an hour at most, of the locations that both the person and the
        storage are of."""
        claims, issuer = await authority.person(request), sessions.issuer
        storage = Party(bare_jid(data.storage if data else None), "storage")
        places = issuer.access.shared(Party(claims.jid, "user"), storage)
        if not places:
            raise NotHere("there is no such storage")
        now_s = time.time()
        narrow = msgspec.structs.replace(
            claims,
            role="player",
            loc=places,
            jti=secrets.token_urlsafe(16),
            iat=int(now_s),
            exp=int(min(now_s + VALIDITY_S, await authority.alive_until_s(claims))),
            # Verifiers refuse it with the session.
            sid=claims.sid or claims.jti,
        )
        client = client_of(request)
        audit.note(
            "recordings",
            who=claims.sub,
            role=claims.role,
            object=storage.jid,
            network=client.network,
            agent=client.agent,
            detail="over its own network",
            locations=places,
        )
        token = issuer.issue(narrow).token
        return Response(TokenAnswer(token=token, expires=format_utc(narrow.exp * 1_000_000)))

    return [playback]
