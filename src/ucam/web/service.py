"""`ucam web`: everything put together, reloaded, and ended in order."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial

import msgspec

from ucam.base import config as configuration
from ucam.base import service
from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.base.service import Fault, Stop
from ucam.base.tokens import Verifier
from ucam.base.units import StateUrl
from ucam.protocol.messages import IceServer
from ucam.web import account, auth, inviting, metrics, nearby, page, shared_keys, webhooks
from ucam.web.alertmails import AlertMails
from ucam.web.app import content_policy, make_app
from ucam.web.audit import AuditLog
from ucam.web.auth import Authority
from ucam.web.bus import Bus
from ucam.web.config import Http, WebConfig
from ucam.web.ice import IceServers
from ucam.web.invites import Invites
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.login import Logins
from ucam.web.mail import Mailer, mail_way
from ucam.web.members import Known, Opened
from ucam.web.mqtt import MqttStatus
from ucam.web.page import Page
from ucam.web.redis_link import connect
from ucam.web.remembered import read_devices, remember_devices
from ucam.web.revoked import Revocations
from ucam.web.room import Room
from ucam.web.server import Server, listen, make_server, raise_file_limit, read_certificate
from ucam.web.sessions import Sessions
from ucam.web.sockets import MAX_SOCKETS, SHARE, Sockets
from ucam.web.state import State, StateAway
from ucam.web.state_redis import RedisState
from ucam.web.state_sqlite import SqliteState
from ucam.web.webhooks import Webhooks

_log = logging.getLogger(__name__)
KEY_CHECK_INTERVAL_S = 3600.0
# Open files that aren't connections of the room: the database, Redis, mails, requests.
OTHER_FILES = 200


class Web:
    """The parts of one web application, and what changes in them on a reload."""

    def __init__(
        self, config: WebConfig, state: State, known: Mapping[JID, Known], now_s: float
    ) -> None:
        self.config = config
        self.state = state
        self.keys = KeyStore(config.http.data_dir, now_s)
        self.ice = IceServers.of(config.ice)
        issuer = Issuer(self.keys, config)
        self.sessions = Sessions(state, issuer)
        self.mailer = Mailer(mail_way(config.smtp))
        self.audit = AuditLog(config.http.data_dir, config.audit)
        self.logins = Logins(state, self.sessions, self.mailer, self.audit, config)
        places = min(MAX_SOCKETS, raise_file_limit() - OTHER_FILES)
        self.room = Room(issuer.access, self._ice_for, known, places // SHARE)
        self.sockets = Sockets(self.room, config.http.public_url, state.arrive, places)
        verifier = Verifier(config.http.public_url, lambda: self.keys.public)
        self.revoked = Revocations(self.sessions, self.keys)
        authority = Authority(verifier, self.sessions, self.audit, self._end_session)
        self.sockets.authority = authority
        self.sockets.on_opened = self._note_call
        self.webhooks = Webhooks(webhooks.Settings(config.alerts))
        self.alerts = AlertMails(state, self.mailer, self.webhooks, self.room.present, config)
        self.mqtt = MqttStatus(state, self.room.present, config)
        invites = Invites(state, self.sessions)
        self.bus = None if config.state.url.is_sqlite else self._make_bus(config.state.url)
        self.app = make_app(
            config.http.public_url,
            self.sockets,
            auth.routes(authority, self.logins, invites, self.keys, self.revoked),
            account.routes(authority, self.sessions, self.audit),
            inviting.routes(authority, self.sessions, invites, self.audit, self.room.seen),
            nearby.routes(authority, self.sessions, self.audit),
            metrics.routes(config.http, self._gauges),
            page.routes(Page(), self._page_policy),
        )

    def _make_bus(self, url: StateUrl) -> Bus:
        sockets = self.sockets
        bus = Bus(lambda: connect(url.url), sockets.hear, sockets.joined, sockets.cut)
        sockets.tell = bus.tell
        return bus

    def _ice_for(self, jid: JID, now_s: float) -> tuple[IceServer, ...]:
        return self.ice.for_peer(jid, now_s)

    def _end_session(self, sid: str) -> None:
        self.sockets.end_session(sid)
        self.revoked.look_now()

    def _page_policy(self) -> str:
        present = self.room.present()
        storages = {place.storage for place in self.config.locations.values()}
        told = (present[jid].status or {} for jid in present.keys() & storages)
        return content_policy(self.config.http.public_url, nearby.origins(told))

    def _note_call(self, call: Opened) -> None:
        self.audit.note(
            "watch" if call.kind == "live" else "recordings",
            who=call.viewer.jid,
            role=call.viewer.role,
            object=call.device.jid,
            locations=call.locations,
        )

    def _tell_storages(self) -> None:
        self.sockets.apply(self.room.tokens_changed())

    def _gauges(self) -> dict[str, tuple[str, float]]:
        return {
            "ucam_web_sockets": ("connections of this process", self.sockets.count),
            "ucam_web_devices": ("devices in the room", len(self.room.present())),
            "ucam_web_mails_waiting": ("mails that wait to be sent", self.mailer.waiting),
            "ucam_web_audit_lost": ("audit entries that the disk refused", self.audit.lost),
        }

    def tasks(self) -> Iterator[Coroutine[None, None, None]]:
        """What runs beside the server, each for ever."""
        yield self.mailer.run()
        yield self.logins.run()
        yield self.audit.run()
        yield self.alerts.run()
        yield self.webhooks.run()
        yield self.mqtt.run()
        yield self.sockets.watch(self.remember)
        yield self.sockets.catch_up()
        yield self.revoked.watch(self.sockets.end_session, self._tell_storages)
        yield self.rotate_keys()
        if self.bus is not None:
            yield self.bus.run()
            yield shared_keys.stay_shared(self.keys, self.state)

    def change_config(self, config: WebConfig) -> None:
        """Put a reloaded configuration in force, for open connections too; raises `ConfigError`
        and changes nothing."""
        for name in ("http", "state"):
            if getattr(config, name) != getattr(self.config, name):
                _log.warning("[%s] has changed: that needs a restart; all else is in force", name)
        config = msgspec.structs.replace(config, http=self.config.http, state=self.config.state)
        # Whatever can fail stands first.
        issuer = Issuer(self.keys, config)
        ice = IceServers.of(config.ice)
        way = mail_way(config.smtp)
        hooks = webhooks.Settings(config.alerts)
        self.mqtt.change_config(config)
        self.logins.change_config(config)
        self.alerts.change_config(config)
        self.audit.limits = config.audit
        if ice.differs(self.ice):
            self.room.welcome_all_again()
        self.config, self.ice, self.sessions.issuer = config, ice, issuer
        self.mailer.change_way(way)
        self.webhooks.settings = hooks
        self.sockets.change_access(issuer.access)
        self.revoked.look_now()
        self.audit.note("reloaded")

    async def rotate_keys(self) -> None:
        """Rotate the signing keys when they are due; for ever."""
        while True:
            await asyncio.sleep(KEY_CHECK_INTERVAL_S)
            try:
                if await self._rotate_when_due(time.time()):
                    _log.info("signing keys rotated")
                    self.audit.note("keys-rotated")
            except (OSError, Fault, StateAway) as error:
                _log.error("signing keys not rotated, the old ones go on: %s", error)

    async def _rotate_when_due(self, now_s: float) -> bool:
        if self.bus is None:
            return await asyncio.to_thread(self.keys.rotate_when_due, now_s)
        rotate = partial(self.keys.rotate_when_due, now_s)
        return await shared_keys.change(self.keys, self.state, now_s, rotate)

    async def remember(self) -> None:
        """Keep what the room knows of devices; a full disk must not end the room."""
        try:
            await remember_devices(self.state, dict(self.room.known))
        except StateAway as error:
            _log.error("names and times of devices not kept: %s", error)


async def serve(config: WebConfig, stop: Stop) -> None:
    """Run the web application until `stop`; raises `Fault` with what a person can mend."""
    state = open_state(config)
    try:
        try:
            web = Web(config, state, await read_devices(state), time.time())
            if web.bus is not None:
                await shared_keys.share(web.keys, state, time.time())
        except ConfigError as error:
            raise Fault(f"{stop.config_path or 'configuration'}: {error}") from None
        except StateAway as error:
            raise Fault(f"[state] url = {config.state.url}: {error}") from None
        server = make_server(web.app, config.http)
        listener = listen(config.http.listen)
        stop.on_reload(lambda: _reload(web, stop))
        stop.on_reload(lambda: _renew_certificate(server, config.http))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listener]))
            helpers = [
                *(tasks.create_task(task) for task in web.tasks()),
                tasks.create_task(_feed_watchdog()),
            ]
            host, port = listener.getsockname()[:2]
            await server.listening.wait()
            host = f"[{host}]" if ":" in host else host
            at = f"{'https' if config.http.cert else 'http'}://{host}:{port}"
            _log.info("listening on %s; the page is %s", at, config.http.public_url)
            service.ready(f"listening on {at}")
            await stop.wait()
            server.should_exit = True
            await serving
            for helper in helpers:
                helper.cancel()
        if web.bus is not None:
            await web.bus.leave()
        await web.remember()
    finally:
        await state.close()


def open_state(config: WebConfig) -> State:
    """The state that the configuration names; raises `Fault`."""
    if config.state.url.is_sqlite:
        return SqliteState(config.http.data_dir)
    return RedisState(connect(config.state.url.url))


async def _feed_watchdog() -> None:
    """While the event loop turns, the application answers."""
    interval_s = service.watchdog_interval_s()
    while interval_s is not None:
        service.watchdog()
        await asyncio.sleep(interval_s)


def _renew_certificate(server: Server, http: Http) -> None:
    try:
        read_certificate(server, http)
    except Fault as fault:
        _log.error("the certificate in force stays: %s", fault)


def _reload(web: Web, stop: Stop) -> None:
    if stop.config_path is None:
        return
    try:
        web.change_config(configuration.load(stop.config_path, WebConfig))
    except ConfigError as error:
        _log.error("not reloaded, the old configuration stays in force: %s", error)
        return
    _log.info("configuration reloaded")
