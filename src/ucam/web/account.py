"""What a person may look at of their own: their sessions, and the audit log of their locations."""

import time
from typing import Annotated, Any

import msgspec
from litestar import delete, get
from litestar.connection import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from ucam.base.times import format_utc, parse_utc
from ucam.web.access import Access, Party
from ucam.web.audit import ACTIONS, MOST_ENTRIES, AuditLog, Entry, Query
from ucam.web.auth import Authority, client_of
from ucam.web.config import WebConfig
from ucam.web.errors import Forbidden, NotHere, WrongRequest, problems
from ucam.web.sessions import Session, Sessions

AUDIT_BY_DEFAULT_US = 7 * 86_400_000_000


class SessionInfo(msgspec.Struct, rename="kebab"):
    """One of a person's sessions. `this`: the one that asks; `agent`: "Firefox on Android"."""

    id: str
    this: bool
    agent: str
    network: str
    since: str
    last_seen: str
    expires: str


class SessionList(msgspec.Struct):
    """A person's sessions, this one first, then as they were seen last."""

    sessions: list[SessionInfo]


class AuditEntries(msgspec.Struct):
    """Entries of the audit log, newest first; `actions` says what each `what` means."""

    entries: list[Entry]
    actions: dict[str, str]


class Settings(msgspec.Struct):
    """Who may sign in, and the locations that each sees; `values` by their keys, as a file says
    them."""

    people: dict[str, tuple[str, ...]]
    values: dict[str, str]


def routes(authority: Authority, sessions: Sessions, audit: AuditLog) -> list[HTTPRouteHandler]:
    """The handlers of this module."""

    @get(
        "/sessions",
        summary="Where this person is logged in",
        tags=["login"],
        responses=problems(400, 401, 403),
    )
    async def list_sessions(request: Request[Any, Any, Any]) -> SessionList:
        claims = await authority.person(request)
        found = await authority.sessions_of(claims)
        infos = [_info(sid, session, sid == claims.sid) for sid, session in found.items()]
        infos.sort(key=lambda info: info.last_seen, reverse=True)
        infos.sort(key=lambda info: not info.this)
        return SessionList(infos)

    @delete(
        "/sessions/{sid:str}",
        summary="End one of this person's sessions",
        tags=["login"],
        responses=problems(400, 401, 403, 404),
    )
    async def end_session(request: Request[Any, Any, Any], sid: FromPath[str]) -> None:
        """Its connections close, and its token opens nothing any more."""
        claims = await authority.person(request)
        if not await authority.end_session(claims, sid, client_of(request)):
            raise NotHere("there is no such session")

    @get(
        "/audit",
        summary="Who did what in the locations that this person sees",
        tags=["audit"],
        responses=problems(400, 401, 403),
    )
    async def read_audit(
        request: Request[Any, Any, Any],
        begin: Annotated[str | None, QueryParameter(name="from", description="RFC 3339")] = None,
        end: Annotated[str | None, QueryParameter(name="to", description="RFC 3339")] = None,
        who: Annotated[str | None, QueryParameter(description="a JID")] = None,
        what: Annotated[str | None, QueryParameter(description="one of `actions`")] = None,
    ) -> AuditEntries:
        """Of the last seven days, unless `from` says otherwise; at most 1,000 entries. Who sees
        every location also reads what concerns none (refused tokens, reloads)."""
        claims = await authority.person(request)
        if what is not None and what not in ACTIONS:
            raise WrongRequest(f"what is one of {', '.join(ACTIONS)}")
        try:
            to_us = time.time_ns() // 1000 if end is None else parse_utc(end)
            from_us = to_us - AUDIT_BY_DEFAULT_US if begin is None else parse_utc(begin)
        except (ValueError, OverflowError) as error:
            raise WrongRequest(str(error)) from None
        query = Query(from_us=from_us, to_us=to_us, who=who, what=what, most=MOST_ENTRIES)
        access = sessions.issuer.access
        party = Party(claims.jid, "user")
        seen = frozenset(access.locations_of(party))
        entries = await audit.read(query, seen, everything=access.sees_all(party))
        return AuditEntries(entries, ACTIONS)

    @get(
        "/settings.json",
        summary="What web.toml says about people and times",
        tags=["audit"],
        responses=problems(400, 401, 403),
    )
    async def read_settings(request: Request[Any, Any, Any]) -> Settings:
        """For who sees every location; read from the configuration in force."""
        claims = await authority.person(request)
        issuer = sessions.issuer
        if not issuer.access.sees_all(Party(claims.jid, "user")):
            raise Forbidden("this is for people who see every location")
        return settings_of(issuer.config, issuer.access)

    return [list_sessions, end_session, read_audit, read_settings]


def settings_of(config: WebConfig, access: Access) -> Settings:
    """What people may know of a configuration: no addresses of servers, no files, no secrets."""
    people, devices, alerts = config.userauth, config.deviceauth, config.alerts
    return Settings(
        people={str(jid): access.locations_of(Party(jid, "user")) for jid in people.allowed_emails},
        values={
            "userauth.session-lifetime": str(people.session_lifetime),
            "userauth.link-validity": str(people.link_validity),
            "deviceauth.token-validity": str(devices.token_validity),
            "alerts.emails": ", ".join(map(str, alerts.emails)),
            "alerts.after": str(alerts.after),
        },
    )


def _info(sid: str, session: Session, this: bool) -> SessionInfo:
    return SessionInfo(
        id=sid,
        this=this,
        agent=session.agent,
        network=session.network,
        since=_time(session.began_s),
        last_seen=_time(session.seen_s or session.began_s),
        expires=_time(session.ends_s or session.current_exp),
    )


def _time(at_s: float) -> str:
    return format_utc(round(at_s * 1e6))
