"""uvicorn inside our own TaskGroup: it binds no address, takes no signals, writes no log."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from litestar.types import ASGIApp

from ucam.base.service import Fault
from ucam.base.units import Listen
from ucam.protocol.messages import MAX_MESSAGE_BYTES

HEARTBEAT_S = 20.0
GRACE_S = 3
BACKLOG = 256


class Server(uvicorn.Server):
    """A uvicorn server whose owner decides when it ends (`should_exit`)."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell who waits for it."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's: see `ucam.base.service`."""
        yield


def make_server(app: ASGIApp) -> Server:
    """A server for `app`; `serve(sockets=[…])` runs it."""
    log = logging.getLogger("uvicorn.error")
    # uvicorn logs the address of every WebSocket, query and token included, at INFO.
    log.setLevel(logging.WARNING)
    log.addFilter(_not_about_refusals)
    return Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            http="h11",
            ws="websockets-sansio",
            # 70 KB a connection against 25, for messages that are small.
            ws_per_message_deflate=False,
            # Above the room's own limit, which answers with an Error instead of an end.
            ws_max_size=4 * MAX_MESSAGE_BYTES,
            ws_ping_interval=HEARTBEAT_S,
            ws_ping_timeout=HEARTBEAT_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


def _not_about_refusals(record: logging.LogRecord) -> bool:
    """uvicorn takes a handshake that was refused by an HTTP status for one that was forgotten."""
    return "without completing handshake" not in record.msg


def listen(address: Listen) -> socket.socket:
    """A listening socket; raises `Fault`."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Fault(f"can't listen on {address}: {error.strerror or error}") from None
