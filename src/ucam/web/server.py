"""uvicorn inside our own TaskGroup: it binds no address, takes no signals, writes no log."""

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from litestar.types import ASGIApp

from ucam.base.service import Fault
from ucam.base.units import Listen
from ucam.protocol.messages import MAX_MESSAGE_BYTES
from ucam.web.config import Http

HEARTBEAT_S = 20.0
GRACE_S = 3
# All may come back at once.
BACKLOG = 2048
MAX_FILES = 65_536


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


def make_server(app: ASGIApp, http: Http) -> Server:
    """A server for `app`; `serve(sockets=[…])` runs it. Raises `Fault`."""
    log = logging.getLogger("uvicorn.error")
    # uvicorn logs the address of every WebSocket, query and token included, at INFO.
    log.setLevel(logging.WARNING)
    log.addFilter(_not_about_refusals)
    server = Server(
        uvicorn.Config(
            app,
            # Whose X-Forwarded-For is believed; everybody else is who they are.
            forwarded_allow_ips=list(http.trusted_proxies),
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
    if http.cert is not None and http.key is not None:
        server.config.load()
        server.config.ssl = _tls(http.cert, http.key)
    return server


def read_certificate(server: Server, http: Http) -> None:
    """Take a renewed certificate for connections to come; raises `Fault` and keeps the old one."""
    context = server.config.ssl
    if http.cert is None or http.key is None or context is None:
        return
    _tls(http.cert, http.key)  # tried on one that nobody uses: half a pair must not get in
    context.load_cert_chain(http.cert, http.key)


def _tls(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer; raises `Fault`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise Fault(f"[http] cert {cert} with key {key} can't be used: {error}") from None
    return context


def raise_file_limit() -> int:
    """Let this process have as many open files as it may: each connection is one. How many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _not_about_refusals(record: logging.LogRecord) -> bool:
    """uvicorn takes a handshake that was refused by an HTTP status for one that was forgotten."""
    return "without completing handshake" not in record.getMessage()


def listen(address: Listen) -> socket.socket:
    """A listening socket; raises `Fault`."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (address.host, address.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        raise Fault(f"can't listen on {address}: {error.strerror or error}") from None
    # Accepted sockets inherit it. asyncio sets it only on sockets that name their protocol, which
    # create_server's don't; without it an answer waits 40 ms for the other side's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
