"""`ucam web`: everything put together, reloaded, and ended in order."""

import asyncio
import logging
import time
from collections.abc import Mapping

import msgspec

from ucam.base import config as configuration
from ucam.base import service
from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.base.service import Fault, Stop
from ucam.base.tokens import Verifier
from ucam.protocol.messages import IceServer
from ucam.web.app import make_app
from ucam.web.auth import Authority
from ucam.web.config import WebConfig
from ucam.web.ice import IceServers
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.login import Logins
from ucam.web.mail import Mailer, mail_way
from ucam.web.members import Known
from ucam.web.page import Page
from ucam.web.remembered import read_devices, remember_devices
from ucam.web.room import Room
from ucam.web.server import listen, make_server
from ucam.web.sessions import Sessions
from ucam.web.sockets import Sockets
from ucam.web.state import State, StateAway
from ucam.web.state_sqlite import SqliteState

_log = logging.getLogger(__name__)
KEY_CHECK_INTERVAL_S = 3600.0


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
        self.logins = Logins(state, self.sessions, self.mailer, config)
        self.room = Room(issuer.access, self._ice_for, known)
        self.sockets = Sockets(self.room, config.http.public_url)
        verifier = Verifier(config.http.public_url, lambda: self.keys.public)
        authority = Authority(verifier, self.sessions, self.sockets.end_session)
        self.sockets.authority = authority
        self.app = make_app(
            config.http.public_url, authority, self.logins, self.keys, self.sockets, Page()
        )

    def _ice_for(self, jid: JID, now_s: float) -> tuple[IceServer, ...]:
        return self.ice.for_peer(jid, now_s)

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
        self.logins.change_config(config)
        self.config, self.ice, self.sessions.issuer = config, ice, issuer
        self.mailer.change_way(way)
        self.sockets.change_access(issuer.access)

    async def rotate_keys(self) -> None:
        """Rotate the signing keys when they are due; for ever."""
        while True:
            await asyncio.sleep(KEY_CHECK_INTERVAL_S)
            try:
                if await asyncio.to_thread(self.keys.rotate_when_due, time.time()):
                    _log.info("signing keys rotated")
            except OSError as error:
                _log.error("signing keys not rotated, the old ones go on: %s", error)

    async def remember(self) -> None:
        """Keep what the room knows of devices; a full disk must not end the room."""
        try:
            await remember_devices(self.state, dict(self.room.known))
        except StateAway as error:
            _log.error("names and times of devices not kept: %s", error)


async def serve(config: WebConfig, stop: Stop) -> None:
    """Run the web application until `stop`; raises `Fault` with what a person can mend."""
    state: State = SqliteState(config.http.data_dir)
    try:
        try:
            web = Web(config, state, await read_devices(state), time.time())
        except ConfigError as error:
            raise Fault(f"{stop.config_path or 'configuration'}: {error}") from None
        listener = listen(config.http.listen)
        stop.on_reload(lambda: _reload(web, stop))
        server = make_server(web.app)
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listener]))
            helpers = [
                tasks.create_task(web.mailer.run()),
                tasks.create_task(web.logins.run()),
                tasks.create_task(web.sockets.watch(web.remember)),
                tasks.create_task(web.rotate_keys()),
                tasks.create_task(_feed_watchdog()),
            ]
            host, port = listener.getsockname()[:2]
            await server.listening.wait()
            at = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            _log.info("listening on %s; the page is %s", at, config.http.public_url)
            service.ready(f"listening on {at}")
            await stop.wait()
            server.should_exit = True
            await serving
            for helper in helpers:
                helper.cancel()
        await web.remember()
    finally:
        await state.close()


async def _feed_watchdog() -> None:
    """While the event loop turns, the application answers."""
    interval_s = service.watchdog_interval_s()
    while interval_s is not None:
        service.watchdog()
        await asyncio.sleep(interval_s)


def _reload(web: Web, stop: Stop) -> None:
    if stop.config_path is None:
        return
    try:
        web.change_config(configuration.load(stop.config_path, WebConfig))
    except ConfigError as error:
        _log.error("not reloaded, the old configuration stays in force: %s", error)
        return
    _log.info("configuration reloaded")
