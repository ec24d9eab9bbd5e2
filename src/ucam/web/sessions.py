"""Sessions: from a login link to a token, from a token to its successor, and the end.

Each session has one current token, known by its id. Recycling makes a successor; the same
successor is given again for `GRACE_S` (an answer may be lost), and after that the reuse of the old
token ends the whole session: two parties hold it, and one of them stole it.

Two rules keep a camera on a bad line from locking itself out, where nobody can click a link:
- A device's successor that nobody has come with yet is given again at any time.
- A device's token that no session knows (made by `ucam token`) begins a session of its own.

Nothing here reads a clock or knows HTTP. Each step is one atomic change of one record, so it holds
over several processes; all of it may raise `StateAway`.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

import msgspec

from ucam.base.jid import JID
from ucam.base.tokens import Claims, Role
from ucam.web.access import Party
from ucam.web.clients import Client
from ucam.web.issuer import Issued, Issuer
from ucam.web.state import KEEP, Decision, Put, State

_log = logging.getLogger(__name__)

GRACE_S = 10.0
# A visit is noted once in this time: each note is a sync to the disk.
SEEN_S = 60.0
# Verifiers hold these ids in memory; as many tokens can't end in a system of this size.
MAX_REVOKED = 5000
LINKS, SESSIONS, REPLACED = "links", "sessions", "replaced"
Made = Literal["login", "hand", "enrolled"]
"""How a session's first token came about."""
T = TypeVar("T")


class LinkError(ValueError):
    """A login link that opens nothing: unknown, used or expired. Which one isn't told."""


class SessionError(ValueError):
    """A token whose session is over. `ended` names a session that ends with this very request."""

    def __init__(self, text: str, ended: str | None = None) -> None:
        super().__init__(text)
        self.ended = ended


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it is kept, under its id."""

    jid: str
    role: Role
    ends_s: float | None
    """When even recycling ends; None: never (devices)."""
    current_jti: str
    current_iat: int
    current_exp: int
    latest_exp: int
    """Of all its tokens: until then the record stays, so that what has ended stays ended."""
    current_used: bool = False
    """Whether anybody has come with the current token yet."""
    previous_jti: str | None = None
    rotated_s: float | None = None
    ended: bool = False
    loc: tuple[str, ...] = ()
    """The locations that its current token names."""
    made: Made = "login"
    began_s: float = 0
    seen_s: float = 0
    """When somebody came with one of its tokens, to within `SEEN_S`."""
    agent: str = ""
    network: str = ""

    @property
    def party(self) -> Party:
        """Whose it is."""
        return Party(JID.parse_bare(self.jid), self.role)

    def accepts(self, jti: str, now_s: float) -> bool:
        """Whether a token of this session may still be used to come in."""
        return jti == self.current_jti or (jti == self.previous_jti and self._forgives(now_s))

    def _forgives(self, now_s: float) -> bool:
        """Whether the use of the previous token still looks like a lost answer."""
        in_time = self.rotated_s is not None and now_s - self.rotated_s <= GRACE_S
        return in_time or (self.role != "user" and not self.current_used)

    def put(self) -> Put:
        """The record to write."""
        return Put(msgspec.json.encode(self), self.latest_exp, "")

    def seen(self, client: Client | None, now_s: float) -> "Session":
        """With a visit noted."""
        if client is None:
            return self
        return msgspec.structs.replace(
            self, seen_s=now_s, agent=client.agent or self.agent, network=client.network
        )


class Revoked(NamedTuple):
    """Ids (`sid` or `jti`) of tokens."""

    over: frozenset[str] = frozenset()
    """Of sessions that have ended, or whose owner has lost all access: their sockets close."""
    refused: frozenset[str] = frozenset()
    """For verifiers that ask nobody else: those, and what names a location that its owner may not
    see any more. Such a session goes on, with the next token."""


class Sessions:
    """The sessions in one state."""

    def __init__(self, state: State, issuer: Issuer) -> None:
        self._state = state
        self.issuer = issuer
        """Makes the tokens; a reloaded configuration brings a new one."""

    # Links

    async def create_link(self, jid: JID, now_s: float) -> str:
        """A login token for `jid`: 256 random bits, single use, of which only the hash is kept."""
        token = secrets.token_urlsafe(32)
        until_s = now_s + self.issuer.config.userauth.link_validity
        await self._state.put(LINKS, _hash(token), Put(str(jid).encode(), until_s), now_s)
        return token

    async def redeem_link(self, token: str, now_s: float, client: Client | None = None) -> Issued:
        """Use up a login token and begin a session; raises `LinkError`."""
        jid = await self._state.take(LINKS, _hash(token), now_s)
        if jid is None:
            raise LinkError("this link is not valid any more")
        party = Party(JID.parse_bare(jid.decode()), "user")
        if not self.issuer.access.admits(party):
            raise LinkError("this link is not valid any more")
        ends_s = now_s + self.issuer.config.userauth.session_lifetime
        claims = self.issuer.claims(party, secrets.token_hex(16), now_s, ends_s)
        session = _begun(claims, ends_s, "login", now_s).seen(client, now_s)
        await self._state.put(SESSIONS, _id(claims), session.put(), now_s)
        return self.issuer.issue(claims)

    # Tokens

    async def keep(self, claims: Claims, made: Made, now_s: float) -> None:
        """Put a token that was made by hand into the list, so that it can be revoked before
        anybody came with it."""
        session = _begun(claims, None, made, now_s)
        await self._state.put(SESSIONS, _id(claims), session.put(), now_s)

    async def recycle(self, claims: Claims, now_s: float, client: Client | None = None) -> Issued:
        """The successor of a verified token; raises `SessionError`."""
        party = self._admitted(claims)
        # Made beforehand: a rule may run again, and must decide the same.
        fresh = self.issuer.claims(party, _id(claims), now_s, None)

        def rule(session: Session) -> tuple[Session | None, Session]:
            if claims.jti == session.current_jti:
                exp = fresh.exp if session.ends_s is None else min(fresh.exp, int(session.ends_s))
                session = msgspec.structs.replace(
                    session,
                    current_jti=fresh.jti,
                    current_iat=fresh.iat,
                    current_exp=exp,
                    latest_exp=max(session.latest_exp, exp),
                    current_used=False,
                    previous_jti=claims.jti,
                    rotated_s=now_s,
                    loc=fresh.loc,
                ).seen(client, now_s)
                return session, session
            if session.accepts(claims.jti, now_s):
                return None, session
            ended = msgspec.structs.replace(session, ended=True)
            return ended, ended

        session = await self._change(claims, rule, now_s)
        if session.ended:
            text = "an old token was used again; the session has ended"
            raise SessionError(text, ended=_id(claims))
        if not set(claims.loc) <= set(fresh.loc):
            # The token that was replaced still says more than its owner may see now.
            put = Put(b"", claims.exp, "")
            await self._state.put(REPLACED, claims.jti, put, now_s)
        return self.issuer.issue(
            msgspec.structs.replace(
                fresh, jti=session.current_jti, iat=session.current_iat, exp=session.current_exp
            )
        )

    async def enter(self, claims: Claims, now_s: float, client: Client | None = None) -> None:
        """Let a verified token's owner in.

        Raises `SessionError`. A token that was recycled away is refused here, but ends nothing:
        a second tab of the page may not have heard of its successor.
        """
        self._admitted(claims)

        def rule(session: Session) -> tuple[Session | None, bool]:
            if not session.accepts(claims.jti, now_s):
                return None, False
            changed = session if now_s - session.seen_s < SEEN_S else session.seen(client, now_s)
            if claims.jti == session.current_jti:
                changed = msgspec.structs.replace(changed, current_used=True)
            return (None if changed == session else changed), True

        if not await self._change(claims, rule, now_s):
            raise SessionError("this token was replaced by a newer one")

    async def alive_until(self, claims: Claims, now_s: float) -> float:
        """Until when the session lives as things stand now, 0 when it has ended."""
        record = await self._state.get(SESSIONS, _id(claims), now_s)
        session = None if record is None else _decode(record)
        return 0.0 if session is None or session.ended else float(session.current_exp)

    async def end(self, claims: Claims, now_s: float) -> str:
        """End a verified token's session (logout); its id. Raises `SessionError`."""
        self._admitted(claims)
        await self._change(claims, lambda s: (msgspec.structs.replace(s, ended=True), None), now_s)
        return _id(claims)

    # Lists

    async def living(self, now_s: float) -> dict[str, Session]:
        """Every session that has not ended, by its id."""
        return {
            sid: session
            for sid, session in (await self._all(now_s)).items()
            if not session.ended and session.current_exp > now_s
        }

    async def end_by_id(self, sid: str, now_s: float, party: Party | None = None) -> Session | None:
        """End a session, of `party` if given; what it was, None when there is no such session."""

        def rule(record: bytes | None) -> tuple[Decision, Session | None]:
            session = None if record is None else _decode(record)
            if session is None or session.ended or party not in (None, session.party):
                return KEEP, None
            return msgspec.structs.replace(session, ended=True).put(), session

        return await self._state.change(SESSIONS, sid, rule, now_s)

    async def revoked(self, now_s: float) -> Revoked:
        """Which tokens have not expired and are to be refused all the same."""
        access = self.issuer.access
        over, stale = {}, dict.fromkeys(await self._state.owned(REPLACED, "", now_s), 0)
        for sid, session in (await self._all(now_s)).items():
            if session.ended or not access.admits(session.party):
                over[sid] = session.latest_exp
            elif not set(session.loc) <= set(access.locations_of(session.party)):
                stale[sid] = session.latest_exp
        if len(over) + len(stale) > MAX_REVOKED:
            _log.error("more tokens are revoked than verifiers are told: %d", len(over | stale))
        latest = sorted((over | stale).items(), key=lambda item: -item[1])[:MAX_REVOKED]
        return Revoked(frozenset(over), frozenset(sid for sid, _ in latest))

    async def _all(self, now_s: float) -> dict[str, Session]:
        records = await self._state.owned(SESSIONS, "", now_s)
        return {sid: _decode(record) for sid, record in records.items()}

    # Inside

    async def _change(
        self, claims: Claims, rule: Callable[[Session], tuple[Session | None, T]], now_s: float
    ) -> T:
        """Change the living session of a token; a device's token that none knows begins one."""

        def change(record: bytes | None) -> tuple[Decision, T | SessionError]:
            if record is not None:
                session = _decode(record)
            elif claims.role != "user":
                # A record only ends when its last token has expired, so this one is new here.
                session = _begun(claims, None, "hand", claims.iat)
            else:
                return KEEP, SessionError("the session is over")
            if session.ended or (session.jid, session.role) != (claims.sub, claims.role):
                return KEEP, SessionError("the session is over")
            if session.ends_s is not None and session.ends_s <= now_s:
                return KEEP, SessionError("the session has reached its lifetime")
            changed, answer = rule(session)
            if changed is None and record is None:
                changed = session
            return (KEEP if changed is None else changed.put()), answer

        answer = await self._state.change(SESSIONS, _id(claims), change, now_s)
        if isinstance(answer, SessionError):
            raise answer
        return answer

    def _admitted(self, claims: Claims) -> Party:
        party = Party(claims.jid, claims.role)
        if not self.issuer.access.admits(party):
            raise SessionError("this name has no access any more")
        return party


def _begun(claims: Claims, ends_s: float | None, made: Made, now_s: float) -> Session:
    return Session(
        jid=claims.sub,
        role=claims.role,
        ends_s=ends_s,
        current_jti=claims.jti,
        current_iat=claims.iat,
        current_exp=claims.exp,
        latest_exp=claims.exp,
        loc=claims.loc,
        made=made,
        began_s=now_s,
    )


def _decode(record: bytes) -> Session:
    return msgspec.json.decode(record, type=Session)


def _id(claims: Claims) -> str:
    return claims.sid or claims.jti


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
