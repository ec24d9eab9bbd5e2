"""`/invites`: codes for new devices, made on the page instead of the command line.

A code becomes a device's token, so the page's rules are narrower than the command's: it is for
people who see every location (who also read the whole audit log); for devices that web.toml names;
for a camera only while it isn't connected, and for a storage only until it has been here once, for
whoever is taken for a storage is sent recordings that cameras then let go of.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import segno
from litestar import Response, delete, get, post
from litestar.connection import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from ucam.base.jid import JID
from ucam.base.times import format_utc
from ucam.base.tokens import Claims, Role
from ucam.web.access import Party
from ucam.web.audit import AuditLog
from ucam.web.auth import Authority, bare_jid, client_of
from ucam.web.errors import Forbidden, NotHere, TooManyRequests, problems
from ucam.web.invites import VALIDITY_S, Invites, TooManyTriesError, written
from ucam.web.sessions import Sessions


class Invitable(msgspec.Struct):
    """A device that a code may be made for. `back`: it has been here before."""

    jid: str
    role: Role
    back: bool


class InvitableList(msgspec.Struct):
    """In the configuration's order."""

    devices: list[Invitable]


class InviteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a code is wanted for."""

    jid: str


class Invited(msgspec.Struct):
    """A code, and the command that redeems it on the new machine; `picture`: the command as a QR
    code, a row of 0 and 1 each. `id` takes it back."""

    id: str
    code: str
    command: str
    picture: list[str]
    expires: str


Seen = Callable[[JID], tuple[bool, bool]]
"""Whether a device is connected, and whether it has ever been."""


class Inviting:
    """Who may make which codes."""

    def __init__(self, sessions: Sessions, seen: Seen) -> None:
        self._sessions = sessions
        self._seen = seen

    def open_to(self, claims: Claims) -> list[Invitable]:
        """The devices that this person may make a code for now; raises `Forbidden`."""
        access = self._sessions.issuer.access
        if not access.sees_all(Party(claims.jid, "user")):
            raise Forbidden("codes are made by people who see every location")
        wanted: dict[JID, Role] = {}
        for place in access.locations.values():
            wanted |= dict.fromkeys(place.devices, "device")
            if place.storage is not None:
                wanted[place.storage] = "storage"
        found = [(jid, role, *self._seen(jid)) for jid, role in wanted.items()]
        return [
            Invitable(str(jid), role, been)
            for jid, role, here, been in found
            if not (here or (been and role == "storage"))
        ]


def routes(
    authority: Authority, sessions: Sessions, invites: Invites, audit: AuditLog, seen: Seen
) -> list[HTTPRouteHandler]:
    """The handlers of this module."""
    inviting = Inviting(sessions, seen)

    def note(
        claims: Claims, request: Request[Any, Any, Any], jid: JID, role: Role, how: str
    ) -> None:
        client = client_of(request)
        audit.note(
            "invited",
            who=claims.sub,
            role=claims.role,
            object=jid,
            network=client.network,
            agent=client.agent,
            detail=how,
            locations=sessions.issuer.access.locations_of(Party(jid, role)),
        )

    @get(
        "/invites",
        summary="The devices that a code may be made for now",
        tags=["login"],
        responses=problems(400, 401, 403),
    )
    async def list_invitable(request: Request[Any, Any, Any]) -> InvitableList:
        return InvitableList(inviting.open_to(await authority.person(request)))

    @post(
        "/invites",
        status_code=200,
        summary="A one-time code that sets a new device up",
        tags=["login"],
        responses=problems(400, 401, 403, 404, 413, 429),
    )
    async def invite(
        request: Request[Any, Any, Any], data: JSONBody[InviteRequest | None] = None
    ) -> Response[Invited]:
        """For people who see every location. A camera must not be connected, a storage must never
        have been."""
        claims = await authority.person(request)
        jid = bare_jid(data.jid if data else None)
        found = next((one for one in inviting.open_to(claims) if one.jid == str(jid)), None)
        if found is None:
            raise NotHere("no device that a code can be made for is called so")
        now_s = time.time()
        try:
            made = await invites.create_for(claims.sub, jid, found.role, now_s)
        except TooManyTriesError as error:
            raise TooManyRequests(str(error)) from None
        note(claims, request, jid, found.role, "made on the page")
        command = f"ucam enroll {sessions.issuer.config.http.public_url} {written(made.code)}"
        answer = Invited(
            id=made.id,
            code=written(made.code),
            command=command,
            picture=["".join(map(str, row)) for row in segno.make(command, error="l").matrix],
            expires=format_utc(round((now_s + VALIDITY_S) * 1e6)),
        )
        return Response(answer)

    @delete(
        "/invites/{made:str}",
        summary="Take a code back",
        tags=["login"],
        responses=problems(400, 401, 403, 404),
    )
    async def take_back(request: Request[Any, Any, Any], made: FromPath[str]) -> None:
        claims = await authority.person(request)
        found = await invites.take_back(made, claims.sub, time.time())
        if found is None:
            raise NotHere("there is no such code")
        note(claims, request, JID.parse_bare(found.jid), found.role, "taken back")

    return [list_invitable, invite, take_back]
