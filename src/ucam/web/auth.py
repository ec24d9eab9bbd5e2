"""`/auth` and the keys: login by mail, recycling, logout. HTTP in, sessions do the work."""

import logging
import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post
from litestar.connection import Request
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body

from ucam.base.times import format_utc
from ucam.base.tokens import Claims, TokenError, Verifier
from ucam.web.errors import Unauthorized, WrongRequest
from ucam.web.issuer import Issued
from ucam.web.keys import KeyStore
from ucam.web.login import Logins
from ucam.web.sessions import LinkError, SessionError, Sessions

_log = logging.getLogger(__name__)

EndSession = Callable[[str], None]


class AuthRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody wants of `/auth`: a link for an address, or a token for a link's token.

    Without either, the Bearer token is exchanged for its successor.
    """

    email: str | None = None
    token: str | None = None


class LinkSent(msgspec.Struct):
    """The answer to every request for a link, whatever becomes of it."""

    status: str = "sent"


class TokenAnswer(msgspec.Struct):
    """A JWT, and when it expires (RFC 3339)."""

    token: str
    expires: str


class Authority:
    """Says whose a token is, for HTTP and for the room alike."""

    def __init__(self, verifier: Verifier, sessions: Sessions, on_end: EndSession) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._on_end = on_end

    def verify(self, token: str, now_s: float) -> Claims:
        """The claims of a token of ours; raises `Unauthorized`."""
        try:
            return self._verifier.verify(token, now_s)
        except TokenError as error:
            raise Unauthorized(str(error)) from None

    async def enter(self, token: str) -> Claims:
        """Whose token it is, if its session lives; raises `Unauthorized`."""
        now_s = time.time()
        claims = self.verify(token, now_s)
        try:
            await self._sessions.enter(claims, now_s)
        except SessionError as error:
            raise Unauthorized(str(error)) from None
        return claims

    async def alive_until_s(self, claims: Claims) -> float:
        """Until when the session lives as things stand, 0 when it has ended."""
        return await self._sessions.alive_until(claims, time.time())

    async def redeem(self, token: str) -> Issued:
        """A login token's JWT; raises `Unauthorized`."""
        try:
            issued = await self._sessions.redeem_link(token, time.time())
        except LinkError as error:
            raise Unauthorized(str(error), code="link-expired") from None
        _log.info("%s has logged in", issued.claims.sub)
        return issued

    async def recycle(self, token: str) -> Issued:
        """A JWT's successor; raises `Unauthorized`, and ends the session of a stolen one."""
        now_s = time.time()
        claims = self.verify(token, now_s)
        if claims.role == "player":
            raise Unauthorized("a player's token isn't renewed; make a new one with ucam token")
        try:
            return await self._sessions.recycle(claims, now_s)
        except SessionError as error:
            if error.ended is not None:
                _log.warning("%s: a replaced token was used again; session ended", claims.sub)
                self._on_end(error.ended)
            raise Unauthorized(str(error), code="session-over") from None

    async def end(self, token: str) -> None:
        """End a JWT's session; raises `Unauthorized`."""
        now_s = time.time()
        claims = self.verify(token, now_s)
        try:
            sid = await self._sessions.end(claims, now_s)
        except SessionError as error:
            raise Unauthorized(str(error), code="session-over") from None
        _log.info("%s has logged out", claims.sub)
        self._on_end(sid)


def bearer(request: Request[Any, Any, Any]) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def routes(authority: Authority, logins: Logins, keys: KeyStore) -> list[HTTPRouteHandler]:
    """The handlers of this module."""

    @post("/auth", status_code=200, summary="Log in, or renew a token", tags=["login"])
    async def authenticate(
        request: Request[Any, Any, Any],
        data: Annotated[AuthRequest | None, Body(media_type=RequestEncodingType.JSON)] = None,
    ) -> Response[LinkSent | TokenAnswer]:
        """`{"email"}` asks for a link by mail: always 202. `{"token"}`, the token of such a link,
        answers a JWT. With no body, the JWT in `Authorization: Bearer` is exchanged for its
        successor."""
        wanted = data or AuthRequest()
        if wanted.email is not None and wanted.token is None:
            await logins.request(wanted.email)
            return Response(LinkSent(), status_code=202)
        if wanted.token is not None and wanted.email is None:
            return _answer(await authority.redeem(wanted.token))
        if wanted.token is not None:
            raise WrongRequest("either email or token, not both")
        if (token := bearer(request)) is None:
            raise Unauthorized("email, token or Authorization: Bearer is wanted")
        return _answer(await authority.recycle(token))

    @delete("/auth", summary="Log out: end the session and its connections", tags=["login"])
    async def log_out(request: Request[Any, Any, Any]) -> None:
        if (token := bearer(request)) is None:
            raise Unauthorized("Authorization: Bearer is wanted")
        await authority.end(token)

    @get("/.well-known/jwks.json", summary="The keys that verify tokens", tags=["keys"])
    async def key_set() -> Response[dict[str, Any]]:
        # Verifiers may keep it for a while: the next key stands in it long before it signs.
        return Response(dict(keys.jwks()), headers={"Cache-Control": "public, max-age=300"})

    return [authenticate, log_out, key_set]


def _answer(issued: Issued) -> Response[LinkSent | TokenAnswer]:
    expires = format_utc(issued.claims.exp * 1_000_000)
    return Response(TokenAnswer(token=issued.token, expires=expires))
