"""Requests for a login link: taken at once, worked off in the background.

The answer to a request says nothing and is given before the address is looked at, so neither its
body nor its time tells whether the address may log in. Nor do the next answers: requests are worked
off a random moment later, and for an address that may not log in the same is done, but for the
mail.
"""

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from email.message import EmailMessage
from typing import NamedTuple

from ucam.base.jid import JID, JIDError
from ucam.web.access import Access, Party
from ucam.web.audit import AuditLog
from ucam.web.config import WebConfig
from ucam.web.letters import login_mail
from ucam.web.mail import Mailer
from ucam.web.sessions import Sessions
from ucam.web.state import Limit, State, StateAway

_log = logging.getLogger(__name__)

MAX_WAITING_REQUESTS = 1000
# Between an answer and the work for it, s.
DELAY_S = (0.05, 0.25)
WINDOW_S = 15 * 60.0


class Limits(NamedTuple):
    """How much may be asked for; who asks for more gets the same answer and no mail."""

    each: Limit = Limit("mails-each", 3, WINDOW_S)
    """Of an address, allowed or not."""
    network: Limit = Limit("mails-network", 30, WINDOW_S)
    requests: Limit = Limit("mails-asked", 10_000, WINDOW_S)
    """By all together; it bounds what strangers make us remember."""
    mails: Limit = Limit("mails-sent", 100, WINDOW_S)
    decoys: Limit = Limit("mails-not-sent", 100, WINDOW_S)
    """Of its own: strangers must not use up the mails of those who may log in."""


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class _Asked:
    email: str
    network: str
    due_s: float
    """Of the event loop's clock: not before."""


class Logins:
    """Turns requests for a link into mails."""

    def __init__(
        self,
        state: State,
        sessions: Sessions,
        mailer: Mailer,
        audit: AuditLog,
        config: WebConfig,
        limits: Limits | None = None,
    ) -> None:
        self._state = state
        self._sessions = sessions
        self._mailer = mailer
        self._audit = audit
        self._limits = limits or LIMITS
        # Full means a flood: further requests are dropped, their senders can't tell and ask again.
        self._queue: asyncio.Queue[_Asked] = asyncio.Queue(MAX_WAITING_REQUESTS)
        self._dropped = 0
        self.idle = True
        """Whether every request was worked off."""
        self.change_config(config)

    def change_config(self, config: WebConfig) -> None:
        """Put a reloaded configuration in force."""
        self._config = config
        self._access = Access.of(config)

    async def check(self) -> None:
        """Before a request is taken; raises `StateAway`, whatever the address."""
        await self._state.check()

    async def take(self, email: str, network: str) -> None:
        """Take a request that has been answered; never waits, tells nothing."""
        self.idle = False
        delay_s = random.uniform(*DELAY_S)  # noqa: S311 - spreading, not secrecy
        due_s = asyncio.get_running_loop().time() + delay_s
        try:
            self._queue.put_nowait(_Asked(email[:400], network, due_s))
        except asyncio.QueueFull:
            self._dropped += 1

    async def run(self) -> None:
        """Work requests off, for ever."""
        while True:
            self.idle = self._queue.empty()
            asked = await self._queue.get()
            if self._dropped:
                _log.warning("a flood of login requests: %d were dropped", self._dropped)
                self._dropped = 0
            await asyncio.sleep(asked.due_s - asyncio.get_running_loop().time())
            try:
                await self._work_off(asked)
            except StateAway as error:
                _log.error("a login request is lost: %s", error)
            except Exception:  # noqa: BLE001 - the loop must outlive one bad request; it is logged
                _log.exception("a login request failed")

    async def _work_off(self, asked: _Asked) -> None:
        try:
            jid = JID.parse_bare(asked.email.strip())
        except JIDError:
            return
        allowed = self._access.admits(Party(jid, "user"))
        limits = self._limits
        turns = (
            (limits.each, str(jid)),
            (limits.network, asked.network),
            (limits.requests, ""),
            (limits.mails if allowed else limits.decoys, ""),
        )
        now_s = time.time()
        if not await self._state.allow(turns, now_s):
            _log.warning(
                "no mail for %s: too many were asked for", jid if allowed else "a stranger"
            )
            return
        if not allowed:
            detail = "a login link was asked for an address that may not log in"
            self._audit.note("refused", who=jid, network=asked.network, detail=detail)
            _log.info("login asked for an address that isn't allowed")
        mail = await self._write(jid, now_s)
        if allowed:
            self._mailer.submit(mail, self._config.userauth.link_validity)

    async def _write(self, jid: JID, now_s: float) -> EmailMessage:
        """A mail with a fresh link; a stranger's opens nothing."""
        token = await self._sessions.create_link(jid, now_s)
        site = self._config.http.public_url
        # A fragment never leaves the browser: no server, proxy or log on the way sees the token.
        link = f"{site}/login#t={token}"
        validity_s = self._config.userauth.link_validity
        return login_mail(self._config.sender, jid, link, validity_s, site, now_s)
