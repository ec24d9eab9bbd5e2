"""A device's connection to the room: one WebSocket that comes back by itself, for ever."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ucam import __version__
from ucam.base.backoff import Backoff
from ucam.base.jid import JID, JIDError
from ucam.base.times import parse_utc
from ucam.device.token import TokenFileError, TokenStore
from ucam.device.trouble import explain
from ucam.protocol.messages import (
    MAX_MESSAGE_BYTES,
    AnyMessage,
    IceServer,
    ProtocolError,
    Welcome,
    decode,
    encode,
)

_log = logging.getLogger(__name__)
MAX_WAITING_MESSAGES = 256
# A Welcome names everybody whom a device may see.
MAX_FROM_SERVER_BYTES = 4 << 20
HEARTBEAT_S = 20.0
OPEN_TIMEOUT_S = 10.0
# A connection that held on for so long was a good one: the next try comes soon again. Two devices
# with one JID throw each other out at once, and must not do so several times a second.
GOOD_AFTER_S = 20.0
# The room's close codes (RFC 6455 §7.4.2: an application's own), as people are told.
CLOSED_BECAUSE = {
    4401: "the token is no longer good",
    4403: "the web application's configuration no longer has this device",
    4409: "another one came with the same JID: is its token in use twice?",
    4429: "we were too slow",
}


@dataclass(frozen=True, slots=True)
class RoomHandlers:
    """What the owner does on the room's events; called in the loop, must not block or raise.

    `connected` gets a Welcome (again when what we may see has changed), `message` everything
    else, `disconnected` the reason. `refused`: our token isn't taken; keys may have been changed.
    """

    connected: Callable[[Welcome], None]
    message: Callable[[AnyMessage], None]
    disconnected: Callable[[str], None]
    refused: Callable[[], None] = lambda: None


class RoomConnection:
    """The room at `web_url` (http(s)://…), entered with the token of `tokens`."""

    def __init__(
        self,
        web_url: str,
        tokens: TokenStore,
        handlers: RoomHandlers,
        *,
        name: str,
        capabilities: tuple[str, ...] = (),
        resource: str | None = None,
    ) -> None:
        self._web_url = web_url
        self._url = socket_url(web_url, name, capabilities, resource)
        self._tokens = tokens
        self._handlers = handlers
        self._backoff = Backoff(first_s=0.5, longest_s=10)
        self._outbox: asyncio.Queue[str] | None = None
        self._socket: ClientConnection | None = None
        self.jid: JID | None = None
        self.ice_servers: tuple[IceServer, ...] = ()
        self.clock_offset_s: float | None = None
        self.local_address: str | None = None

    @property
    def connected(self) -> bool:
        """Whether the room has welcomed us and the connection stands."""
        return self._outbox is not None

    def send(self, message: AnyMessage) -> bool:
        """Queue a message; False when there is no connection (say it again when `connected`)."""
        if self._outbox is None:
            return False
        try:
            self._outbox.put_nowait(encode(message))
        except asyncio.QueueFull:
            # A room that takes nothing is gone: a fresh connection starts from a known state.
            _log.warning("the room takes no messages; connecting anew")
            if self._socket is not None:
                self._socket.transport.abort()
            return False
        return True

    async def run(self) -> None:
        """Stay connected, for ever. Cancel to end."""
        while True:
            try:
                reason = await self._connect_once()
            except InvalidStatus as error:
                reason = f"the web application answered {error.response.status_code}"
                if error.response.status_code in (401, 403):
                    reason += " (is the token right, and the device in its configuration?)"
                    self._reload_token()
                    self._handlers.refused()
            except ConnectionClosed as error:
                reason = _why_closed(error)
            except OSError as error:
                reason = explain(error, self._web_url)
            except (WebSocketException, ProtocolError, ValueError) as error:
                reason = f"{self._web_url} isn't understood ({error or type(error).__name__})"
            delay_s = self._backoff.next_delay_s()
            _log.warning("room: %s; next try in %.1f s", reason, delay_s)
            await asyncio.sleep(delay_s)

    def _reload_token(self) -> None:
        try:
            self._tokens.reload()
        except TokenFileError as error:
            _log.error("%s", error)

    async def _connect_once(self) -> str:
        async with connect(
            self._url,
            additional_headers={"Authorization": f"Bearer {self._tokens.token}"},
            user_agent_header=f"ucam/{__version__}",
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=HEARTBEAT_S,
            ping_timeout=HEARTBEAT_S,
            close_timeout=2,
            max_size=MAX_FROM_SERVER_BYTES,
            max_queue=64,  # back-pressure: the server's send queue is bounded, too
            write_limit=MAX_MESSAGE_BYTES,
        ) as socket:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                welcome = _read_welcome(await socket.recv())
            return await self._stay(socket, welcome)

    async def _stay(self, socket: ClientConnection, welcome: Welcome) -> str:
        address = socket.local_address
        self.local_address = address[0] if address else None
        self._socket = socket
        # Full means that the room takes nothing: see send().
        outbox: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._outbox = outbox
        began_s = time.monotonic()
        _log.info("in the room as %s", welcome.jid)
        reason = "the connection ended"
        try:
            self._take(welcome)
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(_write(socket, outbox))
                reason = await self._read(socket)
                writer.cancel()
        finally:
            self._outbox = self._socket = None
            if time.monotonic() - began_s >= GOOD_AFTER_S:
                self._backoff.reset()
            self._handlers.disconnected(reason)
        return reason

    def _take(self, welcome: Welcome) -> None:
        self.jid = _parse_own_jid(welcome)
        self._tokens.belongs_to(tuple(place.name for place in welcome.locations))
        self.ice_servers = welcome.ice_servers
        self.clock_offset_s = _clock_offset_s(welcome)
        self._handlers.connected(welcome)

    async def _read(self, socket: ClientConnection) -> str:
        try:
            while True:
                text = await socket.recv()
                try:
                    message = decode(text, MAX_FROM_SERVER_BYTES)
                    if isinstance(message, Welcome):
                        # What we may see has changed, or TURN credentials had to be renewed.
                        self._take(message)
                    else:
                        self._handlers.message(message)
                except ProtocolError as error:
                    _log.warning("from the room: %s", error)
        except ConnectionClosed as error:
            return _why_closed(error)


async def _write(socket: ClientConnection, outbox: asyncio.Queue[str]) -> None:
    try:
        while True:
            await socket.send(await outbox.get())
    except ConnectionClosed:
        return  # the reader tells


def _why_closed(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "the connection was lost"
    return CLOSED_BECAUSE.get(error.rcvd.code, f"the web application closed it ({error.rcvd.code})")


def socket_url(web_url: str, name: str, capabilities: tuple[str, ...], resource: str | None) -> str:
    """The room's address for a device; the token goes into a header, never into the URL."""
    parts = urlsplit(web_url)
    scheme = {"http": "ws", "https": "wss"}[parts.scheme]
    query = {"name": name, "capabilities": ",".join(capabilities)}
    if resource is not None:
        query["resource"] = resource
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/ws", urlencode(query), ""))


def _read_welcome(text: str | bytes) -> Welcome:
    message = decode(text, MAX_FROM_SERVER_BYTES)
    if not isinstance(message, Welcome):
        raise ProtocolError(f"the room began with {type(message).__name__}, not Welcome")
    return message


def _parse_own_jid(welcome: Welcome) -> JID:
    try:
        return JID.parse(welcome.jid)
    except JIDError as error:
        raise ProtocolError(str(error)) from None


def _clock_offset_s(welcome: Welcome) -> float | None:
    """How far the system clock is ahead of the server's, in seconds (network delay included)."""
    try:
        return time.time() - parse_utc(welcome.server_time) / 1e6
    except ValueError:
        return None
