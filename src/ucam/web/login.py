"""Requests for a login link: taken at once, worked off in the background.

The answer to a request says nothing and is given before the address is looked at, so neither its
body nor its time tells whether the address may log in.
"""

import asyncio
import logging
import time

from ucam.base.jid import JID, JIDError
from ucam.web.access import Access, Party
from ucam.web.config import WebConfig
from ucam.web.letters import login_mail
from ucam.web.mail import Mailer
from ucam.web.sessions import Sessions
from ucam.web.state import Limit, State, StateAway

_log = logging.getLogger(__name__)

MAX_WAITING_REQUESTS = 1000
WINDOW_S = 15 * 60.0
MAILS_EACH = Limit("mails-each", 3, WINDOW_S)
MAILS_OVERALL = Limit("mails-overall", 100, WINDOW_S)


class Logins:
    """Turns requests for a link into mails."""

    def __init__(self, state: State, sessions: Sessions, mailer: Mailer, config: WebConfig) -> None:
        self._state = state
        self._sessions = sessions
        self._mailer = mailer
        # Full means a flood: further requests are dropped, their senders can't tell and ask again.
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_REQUESTS)
        self.change_config(config)

    def change_config(self, config: WebConfig) -> None:
        """Put a reloaded configuration in force."""
        self._config = config
        self._access = Access.of(config)

    async def request(self, email: str) -> None:
        """Take a request; tells nothing. Raises `StateAway`, whatever the address."""
        await self._state.check()
        try:
            self._queue.put_nowait(email[:400])
        except asyncio.QueueFull:
            _log.warning("login requests come faster than they are worked off; one dropped")

    async def run(self) -> None:
        """Work requests off, for ever."""
        while True:
            email = await self._queue.get()
            try:
                await self._work_off(email)
            except StateAway as error:
                _log.error("a login request is lost: %s", error)
            except Exception:  # noqa: BLE001 - the loop must outlive one bad request; it is logged
                _log.exception("a login request failed")

    async def _work_off(self, email: str) -> None:
        try:
            jid = JID.parse_bare(email.strip())
        except JIDError:
            return
        if not self._access.admits(Party(jid, "user")):
            _log.info("login asked for an address that isn't allowed")
            return
        now_s = time.time()
        if not await self._state.allow(((MAILS_EACH, str(jid)), (MAILS_OVERALL, "")), now_s):
            _log.warning("no more mails to %s for now: too many were asked for", jid)
            return
        token = await self._sessions.create_link(jid, now_s)
        site = self._config.http.public_url
        # A fragment never leaves the browser: no server, proxy or log on the way sees the token.
        link = f"{site}/login#t={token}"
        validity_s = self._config.userauth.link_validity
        self._mailer.submit(login_mail(self._config.sender, jid, link, validity_s, site, now_s))
