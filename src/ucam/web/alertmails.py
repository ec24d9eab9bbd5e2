"""Mails and webhooks about devices in trouble: looks at the room, asks `Alerts`, hands them over.

With several processes each looks, so that any can go on; the one that holds the lease tells.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from ucam.base.jid import JID
from ucam.web.alerts import Alerts, Kind, News, Subject
from ucam.web.config import WebConfig
from ucam.web.health import Presence, findings
from ucam.web.lease import Lease
from ucam.web.letters import alert_mail
from ucam.web.mail import Mailer
from ucam.web.state import Put, State, StateAway
from ucam.web.webhooks import Webhooks, alert_json

_log = logging.getLogger(__name__)

LOOK_S = 5.0
# The line that took the cameras away may be the mail's as well.
GOOD_FOR_S = 24 * 3600.0
SHELF = "alerts"


class _Told(msgspec.Struct, frozen=True):
    """A trouble that people have been told of, as it is kept over restarts."""

    device: str
    kind: Kind
    text: str
    since_s: float


class AlertMails:
    """The alerts of one web application. `present`: who of the devices is connected now."""

    def __init__(
        self,
        state: State,
        mailer: Mailer,
        hooks: Webhooks,
        present: Callable[[], Mapping[JID, Presence]],
        config: WebConfig,
    ) -> None:
        self._state = state
        self._mailer = mailer
        self._present = present
        self._hooks = hooks
        self._lease = Lease(state, SHELF)
        self._names: dict[JID, str] = {}
        self._alerts = Alerts(config.alerts.after)
        self._config = config

    def change_config(self, config: WebConfig) -> None:
        """Put a reloaded configuration in force."""
        self._config = config
        self._alerts.after_s = config.alerts.after
        devices = {jid for place in config.locations.values() for jid in place.devices}
        storages = {place.storage for place in config.locations.values() if place.storage}
        self._alerts.forget(frozenset(devices | storages))

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        try:
            await self.remember_told(time.time())
        except StateAway as error:
            _log.warning("alerts: what was told before is not known: %s", error)
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look(time.time())
            except StateAway as error:
                _log.warning("alerts: %s", error)

    async def look(self, now_s: float) -> None:
        """Look once; raises `StateAway`."""
        present = self._present()
        self._names.update((jid, here.name) for jid, here in present.items())
        self._alerts.observe(findings(self._config.locations, present), now_s)
        # Nobody is told: what would be news waits for who may be named by a reload.
        anybody = self._config.alerts.emails or self._hooks.anybody
        news = self._alerts.due(now_s) if anybody else ()
        if not news or not await self._lease.is_mine(now_s):
            return
        await self._keep_told(now_s)
        site = self._config.http.public_url
        self._hooks.submit(alert_json(news, self._name_of, site, now_s))
        for jid in self._config.alerts.emails:
            mail = alert_mail(self._config.sender, jid, news, self._name_of, site, now_s)
            self._mailer.submit(mail, GOOD_FOR_S)
        _log.info("alerts: %d lines told", len(news))

    def _name_of(self, jid: JID) -> tuple[str, str, str | None]:
        for name, place in self._config.locations.items():
            if jid in place.devices or jid == place.storage:
                return self._names.get(jid, jid.local), place.title or name, place.timezone
        return self._names.get(jid, jid.local), "", None

    async def _keep_told(self, now_s: float) -> None:
        told = [
            _Told(str(news.subject.device), news.subject.kind, news.text, news.since_s)
            for news in self._alerts.standing()
        ]
        await self._state.put(SHELF, "told", Put(msgspec.json.encode(told), None), now_s)

    async def remember_told(self, now_s: float) -> None:
        """After a restart: what people know already is no news, but its end is. Raises
        `StateAway`."""
        record = await self._state.get(SHELF, "told", now_s)
        told = [] if record is None else msgspec.json.decode(record, type=list[_Told])
        self._alerts.resume(
            (News(Subject(JID(one.device), one.kind), one.text, one.since_s, None) for one in told),
            now_s,
        )
        self.change_config(self._config)  # which may not know all of these devices any more
