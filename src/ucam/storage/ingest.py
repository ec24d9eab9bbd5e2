"""The RTSPS server: who is connected, and the end of them all."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from ucam.base.service import Fault
from ucam.base.units import Listen
from ucam.storage.access import Access
from ucam.storage.connection import Connection
from ucam.storage.link import Link, Links
from ucam.storage.live import Live
from ucam.storage.recorder import Recorder
from ucam.storage.recording import STOPPED

_log = logging.getLogger(__name__)

MOST_CONNECTIONS = 512  # above it the oldest that shows no token goes, else the new one
# Of each connection, in the kernel: what a camera sends while its link rests, and its keyframes.
SOCKET_BYTES = 512 * 1024


class IngestServer:
    """Listens, keeps the connections, ends them all.

    `tasks` runs what a connection can't do at once.
    """

    def __init__(self, recorder: Recorder, access: Access, tasks: asyncio.TaskGroup) -> None:
        self.recorder = recorder
        self.access = access
        self.live = Live()
        self._tasks = tasks
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._links: Links | None = None

    async def listen(self, address: Listen, context: ssl.SSLContext) -> int:
        """Accept connections; returns the port. Raises `Fault`."""
        links = self._links = Links(context)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Link(links, lambda: Connection(self)),
                address.host,
                address.port,
                backlog=256,
            )
        except OSError as error:
            raise Fault(f"[rtsps] listen = {str(address)!r}: {error.strerror or error}") from None
        for listening in self._server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def admit(self, connection: Connection) -> bool:
        """Whether a new connection may stay."""
        if len(self._connections) >= MOST_CONNECTIONS:
            strangers = [each for each in self._connections if each.is_stranger]
            if not strangers:
                _log.warning(
                    "%s: refused: there are %d connections", connection.peer, MOST_CONNECTIONS
                )
                return False
            # Cameras come back while somebody holds sockets open and says nothing.
            oldest = min(strangers, key=lambda each: each.started_s)
            oldest.end("there are too many connections")
            self._connections.discard(oldest)
        self._connections.add(connection)
        self._empty.clear()
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def spawn(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        """Run what a connection needs, owned by the service."""
        self._tasks.create_task(self._guard(connection, work))

    async def _guard(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # noqa: BLE001 - a fault with one camera must not end the others
            _log.exception("%s: an internal error", connection.name)
            connection.end("an internal error of storage")

    def tick(self) -> None:
        """Call it once a second."""
        now_s, utc_s = time.monotonic(), time.time()
        for connection in list(self._connections):
            connection.tick(now_s, utc_s)
        self.live.tick(now_s)

    async def close(self) -> None:
        """No new connections; the present ones end."""
        if self._server is not None:
            self._server.close()
        if self._links is not None and self._connections:
            await self._links.catch_up()
        for connection in list(self._connections):
            connection.end(STOPPED)
        # Their last words may need the TaskGroup; aborted after 2 s, none is left.
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._empty.wait()
