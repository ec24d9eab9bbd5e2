"""`/auth`, `/enroll` and the keys: HTTP in, `sessions` and `invites` do the work."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.background_tasks import BackgroundTask
from litestar.connection import Request
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import Body

from ucam.base.jid import JID, JIDError
from ucam.base.times import format_utc
from ucam.base.tokens import Claims, Role, TokenError, Verifier
from ucam.web.access import Party
from ucam.web.audit import AuditLog
from ucam.web.clients import Client, client
from ucam.web.errors import Forbidden, TooManyRequests, Unauthorized, WrongRequest, problems
from ucam.web.invites import InviteError, Invites, OtherRoleError, TooManyTriesError
from ucam.web.issuer import Issued
from ucam.web.keys import KeyStore
from ucam.web.login import Logins
from ucam.web.revoked import Revocations
from ucam.web.sessions import LinkError, Session, SessionError, Sessions

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

    status: str


class TokenAnswer(msgspec.Struct):
    """A JWT, and when it expires (RFC 3339)."""

    token: str
    expires: str


class EnrollRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A code that `ucam invite` printed. With a role, a code for another one stays unused (403)."""

    code: str
    role: Literal["device", "storage"] | None = None


class Enrolled(msgspec.Struct, rename="kebab"):
    """What a device needs to begin: its token, its name, and where the room is."""

    token: str
    expires: str
    jid: str
    role: Role
    url: str


class Authority:
    """Says whose a token is, for HTTP and for the room alike."""

    def __init__(
        self, verifier: Verifier, sessions: Sessions, audit: AuditLog, on_end: EndSession
    ) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._audit = audit
        self._on_end = on_end

    def verify(self, token: str, now_s: float, client: Client) -> Claims:
        """The claims of a token of ours; raises `Unauthorized`."""
        try:
            return self._verifier.verify(token, now_s)
        except TokenError as error:
            if token:
                self._refused(None, client, str(error))
            raise Unauthorized(str(error)) from None

    async def enter(self, token: str, client: Client) -> Claims:
        """Whose token it is, if its session lives; raises `Unauthorized`."""
        now_s = time.time()
        claims = self.verify(token, now_s, client)
        try:
            await self._sessions.enter(claims, now_s, client)
        except SessionError as error:
            self._refused(claims, client, str(error))
            raise Unauthorized(str(error)) from None
        return claims

    async def person(self, request: Request[Any, Any, Any]) -> Claims:
        """Who asks, if it is a person with a living session; raises `Unauthorized`, `Forbidden`."""
        client = client_of(request)
        claims = await self.enter(bearer(request) or "", client)
        if claims.role != "user":
            self._refused(claims, client, f"{request.url.path} is for people")
            raise Forbidden("this is for people, who log in by mail")
        return claims

    async def alive_until_s(self, claims: Claims) -> float:
        """Until when the session lives as things stand, 0 when it has ended."""
        return await self._sessions.alive_until(claims, time.time())

    async def redeem(self, token: str, client: Client) -> Issued:
        """A login token's JWT; raises `Unauthorized`."""
        try:
            issued = await self._sessions.redeem_link(token, time.time(), client)
        except LinkError as error:
            self._refused(None, client, str(error))
            raise Unauthorized(str(error), code="link-expired") from None
        _log.info("%s has logged in", issued.claims.sub)
        self._note("login", issued.claims, client)
        return issued

    async def recycle(self, token: str, client: Client) -> Issued:
        """A JWT's successor; raises `Unauthorized`, and ends the session of a stolen one."""
        now_s = time.time()
        claims = self.verify(token, now_s, client)
        if claims.role == "player":
            self._refused(claims, client, "a player's token isn't renewed")
            raise Unauthorized("a player's token isn't renewed; make a new one with ucam token")
        try:
            return await self._sessions.recycle(claims, now_s, client)
        except SessionError as error:
            self._refused(claims, client, str(error))
            if error.ended is not None:
                _log.warning("%s: a replaced token was used again; session ended", claims.sub)
                self._note("session-ended", claims, client, "a replaced token was used again")
                self._on_end(error.ended)
            raise Unauthorized(str(error), code="session-over") from None

    async def end(self, token: str, client: Client) -> None:
        """End a JWT's session; raises `Unauthorized`."""
        now_s = time.time()
        claims = self.verify(token, now_s, client)
        try:
            sid = await self._sessions.end(claims, now_s)
        except SessionError as error:
            self._refused(claims, client, str(error))
            raise Unauthorized(str(error), code="session-over") from None
        _log.info("%s has logged out", claims.sub)
        self._note("logout", claims, client)
        self._on_end(sid)

    async def enroll(self, invites: Invites, wanted: EnrollRequest, client: Client) -> Issued:
        """A device's first token for a code.

        Raises `Unauthorized`, `Forbidden`, `TooManyRequests`.
        """
        try:
            issued = await invites.redeem(wanted.code, client, wanted.role)
        except InviteError as error:
            self._refused(None, client, str(error))
            raise Unauthorized(str(error), code="code-expired") from None
        except OtherRoleError as error:
            raise Forbidden(str(error)) from None
        except TooManyTriesError as error:
            raise TooManyRequests(str(error)) from None
        _log.info("%s is enrolled", issued.claims.sub)
        self._note("token-made", issued.claims, client, "enrolled")
        return issued

    async def end_session(self, claims: Claims, sid: str, client: Client) -> bool:
        """End one of a person's own sessions; whether there is such a one."""
        person = Party(claims.jid, claims.role)
        session = await self._sessions.end_by_id(sid, time.time(), person)
        if session is None:
            return False
        detail = f"{session.agent or 'somewhere'}, {session.network}"
        self._note("session-ended", claims, client, detail)
        self._on_end(sid)
        return True

    async def sessions_of(self, claims: Claims) -> dict[str, Session]:
        """A person's living sessions."""
        living = await self._sessions.living(time.time())
        return {sid: s for sid, s in living.items() if (s.jid, s.role) == (claims.sub, "user")}

    def _note(self, what: str, claims: Claims, client: Client, detail: str | None = None) -> None:
        self._audit.note(
            what,
            who=claims.sub,
            role=claims.role,
            network=client.network,
            agent=client.agent,
            detail=detail,
            locations=self._sessions.issuer.access.locations_of(Party(claims.jid, claims.role)),
        )

    def _refused(self, claims: Claims | None, client: Client, why: str) -> None:
        if claims is None:
            self._audit.note("refused", network=client.network, agent=client.agent, detail=why)
        else:
            self._note("refused", claims, client, why)


def one_credential(found: Iterable[str]) -> str:
    """The one token that a request shows, "" without any; raises `WrongRequest` when several
    disagree: which of them a part believes must never depend on where it looks."""
    tokens = {token for token in found if token}
    if len(tokens) > 1:
        raise WrongRequest("two different tokens in one request")
    return tokens.pop() if tokens else ""


def bearer(request: Request[Any, Any, Any]) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1); raises
    `WrongRequest`."""
    return one_credential(map(bearer_in, request.headers.getall("authorization", []))) or None


def bearer_in(header: str) -> str:
    """The token in one `Authorization` header, "" when it holds none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def bare_jid(text: str | None) -> JID:
    """The JID in a request's body; raises `WrongRequest`."""
    try:
        return JID.parse_bare(text or "")
    except JIDError as error:
        raise WrongRequest(str(error)) from None


def client_of(request: Request[Any, Any, Any]) -> Client:
    """Where a request comes from."""
    peer = request.client
    return client(peer.host if peer else None, request.headers.get("user-agent", ""))


def routes(
    authority: Authority, logins: Logins, invites: Invites, keys: KeyStore, revoked: Revocations
) -> list[HTTPRouteHandler]:
    """The handlers of this module."""

    @post(
        "/auth",
        status_code=200,
        summary="Log in, or renew a token",
        tags=["login"],
        responses={
            202: ResponseSpec(LinkSent, generate_examples=False, description="asked for a link"),
            **problems(400, 401, 413),
        },
    )
    async def authenticate(
        request: Request[Any, Any, Any],
        data: Annotated[AuthRequest | None, Body(media_type=RequestEncodingType.JSON)] = None,
    ) -> Response[LinkSent | TokenAnswer]:
        """`{"email"}` asks for a link by mail: always 202. `{"token"}`, the token of such a link,
        answers a JWT. With no body, the JWT in `Authorization: Bearer` is exchanged for its
        successor."""
        wanted, came = data or AuthRequest(), client_of(request)
        token = bearer(request)
        if sum(one is not None for one in (wanted.email, wanted.token, token)) > 1:
            raise WrongRequest("one of email, token and Authorization: Bearer, not several")
        if wanted.email is not None:
            await logins.check()
            # Taken when the answer is out: what it leads to can't slow the answer down.
            later = BackgroundTask(logins.take, wanted.email, came.network)
            return Response(LinkSent("sent"), status_code=202, background=later)
        if wanted.token is not None:
            return _answer(await authority.redeem(wanted.token, came))
        if token is None:
            raise Unauthorized("email, token or Authorization: Bearer is wanted")
        return _answer(await authority.recycle(token, came))

    @delete(
        "/auth",
        summary="Log out: end the session and its connections",
        tags=["login"],
        responses=problems(400, 401),
    )
    async def log_out(request: Request[Any, Any, Any]) -> None:
        if (token := bearer(request)) is None:
            raise Unauthorized("Authorization: Bearer is wanted")
        await authority.end(token, client_of(request))

    @post(
        "/enroll",
        status_code=200,
        summary="A device's first token for a code",
        tags=["login"],
        responses=problems(400, 401, 403, 413, 429),
    )
    async def enroll(
        request: Request[Any, Any, Any],
        data: Annotated[EnrollRequest, Body(media_type=RequestEncodingType.JSON)],
    ) -> Enrolled:
        """The code is one that `ucam invite` printed; it opens once."""
        issued = await authority.enroll(invites, data, client_of(request))
        claims = issued.claims
        return Enrolled(issued.token, _expires(claims), claims.sub, claims.role, claims.iss)

    @get("/.well-known/jwks.json", summary="The keys that verify tokens", tags=["keys"])
    async def key_set() -> Response[dict[str, Any]]:
        """A JWK set (RFC 7517), and with it the ids (`sid` or `jti`) of tokens that were signed
        with these keys, have not expired, and are to be refused all the same."""
        document = {**keys.jwks(), "revoked": sorted((await revoked.now()).refused)}
        # Public, and yet not kept by anything on the way: what is revoked must be heard at once.
        return Response(document, headers={"Cache-Control": "no-cache"})

    return [authenticate, log_out, enroll, key_set]


def _answer(issued: Issued) -> Response[LinkSent | TokenAnswer]:
    return Response(TokenAnswer(token=issued.token, expires=_expires(issued.claims)))


def _expires(claims: Claims) -> str:
    return format_utc(claims.exp * 1_000_000)
