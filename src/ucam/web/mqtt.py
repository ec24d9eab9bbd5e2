"""The devices' state on an MQTT broker, for Home Assistant and the like; only with `[mqtt]`.

Of several processes the one that holds the lease publishes. Everything is retained, so who
subscribes later knows at once; what is no longer configured is taken off the broker.
"""

import asyncio
import importlib.util
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ucam.base.backoff import Backoff
from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.web.config import MQTT_PORTS, Mqtt, WebConfig
from ucam.web.health import Presence
from ucam.web.ice import read_secret
from ucam.web.lease import Lease
from ucam.web.mqttmessages import OFFLINE, ONLINE, Messages, messages
from ucam.web.state import State, StateAway

if TYPE_CHECKING:
    from aiomqtt import Client

_log = logging.getLogger(__name__)
LOOK_S = 2.0
ANSWER_S = 10.0
GOODBYE_S = 2.0
# Within `LEASE_S`; each time is a sync to the disk.
ASK_S = 20.0
SHELF = "mqtt"


class MqttStatus:
    """Publishes what `present` tells."""

    def __init__(
        self,
        state: State,
        present: Callable[[], Mapping[JID, Presence]],
        config: WebConfig,
        backoff: Callable[[], Backoff] = lambda: Backoff(2, 120),
    ) -> None:
        self._lease = Lease(state, SHELF)
        self._present = present
        self._backoff = backoff()
        self._changed = asyncio.Event()
        self._names: dict[JID, str] = {}
        self._config, self._password = config, _password(config.mqtt)

    def change_config(self, config: WebConfig) -> None:
        """Put a reloaded configuration in force; raises `ConfigError` and changes nothing."""
        password = _password(config.mqtt)
        anew = (config.mqtt, password) != (self._config.mqtt, self._password)
        self._config, self._password = config, password
        if anew:
            self._changed.set()

    async def run(self) -> None:
        """Publish, for ever; a broker that is away is tried again."""
        while True:
            self._changed.clear()
            if self._config.mqtt is None:
                await self._changed.wait()
                continue
            try:
                await self._while_mine(self._config.mqtt)
            except StateAway as error:
                _log.warning("mqtt: %s", error)
            except OSError as error:
                _log.warning("mqtt: %s: %s; trying again", _host(self._config.mqtt), error)
            if not self._changed.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._backoff.next_delay_s()):
                        await self._changed.wait()

    async def _while_mine(self, config: Mqtt) -> None:
        """Publish while this process holds the lease; returns when the broker is another one.

        Raises `OSError` and `StateAway`.
        """
        from aiomqtt import MqttError

        if not await self._lease.is_mine(time.time()):
            return
        try:
            async with self._client(config) as client:
                _log.info("mqtt: publishing at %s", _host(config))
                self._backoff.reset()
                mine = True
                try:
                    mine = await self._publish(client, config)
                finally:
                    if mine:
                        # Said here, also when the service ends: after a goodbye brokers don't.
                        with suppress(MqttError, TimeoutError):
                            async with asyncio.timeout(GOODBYE_S):
                                await client.publish(*_status(config, OFFLINE), qos=1, retain=True)
        except MqttError as error:
            raise OSError(str(error)) from None

    async def _publish(self, client: "Client", config: Mqtt) -> bool:
        """Publish what changes, until the broker is to be another one, or (False) another process
        has the lease."""
        told: Messages = {}
        asked_s = time.monotonic()
        while True:
            wanted = self._messages(config)
            for topic, payload in wanted.items():
                if told.get(topic) != payload:
                    await client.publish(topic, payload, qos=1, retain=True)
            for topic in told.keys() - wanted.keys():
                # Empty and retained: forgotten by the broker (MQTT 5 section 3.3.1.3).
                await client.publish(topic, b"", qos=1, retain=True)
            told = wanted
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
                return True
            if time.monotonic() - asked_s > ASK_S:
                asked_s = time.monotonic()
                if not await self._lease.is_mine(time.time()):
                    return False

    def _messages(self, config: Mqtt) -> Messages:
        present = self._present()
        self._names.update((jid, here.name) for jid, here in present.items())
        topic, payload = _status(config, ONLINE)
        return {topic: payload} | messages(config, self._config.locations, present, self._names)

    def _client(self, config: Mqtt) -> "Client":
        from aiomqtt import Client, Will

        parts = urlsplit(config.url)
        return Client(
            parts.hostname or "",
            parts.port or MQTT_PORTS[parts.scheme],
            username=unquote(parts.username) if parts.username else None,
            password=self._password,
            will=Will(*_status(config, OFFLINE), qos=1, retain=True),
            tls_context=ssl.create_default_context() if parts.scheme == "mqtts" else None,
            timeout=ANSWER_S,
            keepalive=30,
            max_queued_outgoing_messages=1000,
        )


def _status(config: Mqtt, payload: bytes) -> tuple[str, bytes]:
    return f"{config.topic}/status", payload


def _password(config: Mqtt | None) -> str | None:
    if config is None:
        return None
    if importlib.util.find_spec("aiomqtt") is None:
        raise ConfigError("[mqtt] needs a package more: pip install 'ucam[mqtt]'")
    return read_secret(config.password_file) if config.password_file else None


def _host(config: Mqtt | None) -> str:
    return urlsplit(config.url).hostname or "?" if config is not None else "?"
