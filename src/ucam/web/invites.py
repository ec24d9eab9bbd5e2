"""One-time codes that give a device its token without anybody typing one.

Eight letters are few bits, so a code lives for a quarter of an hour, opens once, and tries are
counted: of 20⁸ codes a thousand may be tried in its life.
"""

import hashlib
import logging
import secrets
import time
from typing import NamedTuple

import msgspec

from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.web.access import Party
from ucam.web.clients import Client
from ucam.web.issuer import Issued
from ucam.web.sessions import Sessions
from ucam.web.state import DROP, KEEP, Decision, Limit, Put, State

_log = logging.getLogger(__name__)

# Consonants: no code is a word, and no I, O, U or V is taken for something else.
ALPHABET = "BCDFGHJKLMNPQRSTWXYZ"
LENGTH = 8
VALIDITY_S = 15 * 60.0
INVITES = "invites"
_CALLED = {"device": "camera", "storage": "storage"}
TRIES_EACH = Limit("enroll-network", 10, VALIDITY_S)
TRIES_OVERALL = Limit("enroll-overall", 1000, VALIDITY_S)
MADE_EACH = Limit("invite-person", 10, VALIDITY_S)
MADE_OVERALL = Limit("invite-overall", 100, VALIDITY_S)


class InviteError(ValueError):
    """A code that opens nothing: unknown, used or expired. Which one isn't told."""


class OtherRoleError(ValueError):
    """A code for something else than the machine can become; it stays unused."""


class TooManyTriesError(Exception):
    """Too often: of codes tried, which aren't looked at, or of codes made."""


class Invite(msgspec.Struct, frozen=True):
    """Whom a code is for, and who made it on the page."""

    jid: str
    role: Role
    by: str | None = None


class Made(NamedTuple):
    """A code, and the id that takes it back."""

    code: str
    id: str


class Invites:
    """The codes in one state."""

    def __init__(self, state: State, sessions: Sessions) -> None:
        self._state = state
        self._sessions = sessions

    async def create(self, jid: JID, role: Role, now_s: float, by: str | None = None) -> Made:
        """A code for a device; only its hash is kept."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        value = msgspec.json.encode(Invite(str(jid), role, by))
        await self._state.put(INVITES, _hash(code), Put(value, now_s + VALIDITY_S), now_s)
        return Made(code, _hash(code))

    async def create_for(self, by: str, jid: JID, role: Role, now_s: float) -> Made:
        """A code that a person makes on the page; raises `TooManyTriesError`."""
        if not await self._state.allow(((MADE_EACH, by), (MADE_OVERALL, "")), now_s):
            raise TooManyTriesError("too many codes were made; wait a quarter of an hour")
        return await self.create(jid, role, now_s, by)

    async def take_back(self, made: str, by: str, now_s: float) -> Invite | None:
        """Make a code of this person's open nothing; whom it was for, None: there is none."""

        def rule(record: bytes | None) -> tuple[Decision, Invite | None]:
            found = None if record is None else msgspec.json.decode(record, type=Invite)
            return (DROP, found) if found is not None and found.by == by else (KEEP, None)

        return await self._state.change(INVITES, made, rule, now_s)

    async def redeem(self, code: str, client: Client, role: Role | None = None) -> Issued:
        """Use up a code; the device's first token. With a role, only a code for that one.

        Raises `InviteError`, `OtherRoleError`, `TooManyTriesError`.
        """

        def rule(record: bytes | None) -> tuple[Decision, Invite | None]:
            found = None if record is None else msgspec.json.decode(record, type=Invite)
            keeps = found is None or role not in (None, found.role)
            return (KEEP if keeps else DROP, found)

        now_s = time.time()
        turns = ((TRIES_EACH, client.network), (TRIES_OVERALL, ""))
        if not await self._state.allow(turns, now_s):
            raise TooManyTriesError("too many codes were tried; wait a quarter of an hour")
        # Found by its hash: comparing it takes the same time whatever was typed.
        invite = await self._state.change(INVITES, _hash(normal(code)), rule, now_s)
        if invite is None:
            raise InviteError("this code is not valid any more; make a new one with ucam invite")
        if role not in (None, invite.role):
            raise OtherRoleError(f"this code is for a {_CALLED[invite.role]}")
        party = Party(JID.parse_bare(invite.jid), invite.role)
        issuer = self._sessions.issuer
        if not issuer.access.admits(party):
            raise InviteError("this code is not valid any more; make a new one with ucam invite")
        issued = issuer.first_token(party.jid, party.role, now_s)
        await self._sessions.keep(issued.claims, "enrolled", now_s)
        return issued


def written(code: str) -> str:
    """A code as people read it: `BCDF-GHJK`."""
    return f"{code[:4]}-{code[4:]}"


def normal(code: str) -> str:
    """A code as it was made, from what somebody typed."""
    return "".join(c for c in code[:64].upper() if c in ALPHABET)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
