"""Whether this container's `ucam web` or `ucam storage` answers: exit status 0 or 1.

Asks where the configuration says that it listens: `GET /healthz`, or RTSP's OPTIONS over TLS.
"""

import socket
import ssl
import sys
from pathlib import Path

from ucam.base.config import load
from ucam.storage.config import StorageConfig
from ucam.web.config import WebConfig

WITHIN_S = 8.0


def command(cmdline: bytes) -> tuple[str, Path]:
    """The part and its configuration, of process 1's words (an init's before them, or not)."""
    words = [word.decode() for word in cmdline.split(b"\0")]
    part = next(word for word in words if word in ("web", "storage"))
    return part, Path(words[words.index("--config") + 1])


def answers(part: str, config: Path) -> bool:
    """Whether it does; raises `OSError` when nobody listens."""
    if part == "web":
        http = load(config, WebConfig).http
        listen, tls = http.listen, http.cert is not None
        ask, well = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"200"
    else:
        listen, tls = load(config, StorageConfig).rtsps.listen, True
        ask, well = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", b"200"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    with socket.create_connection((host, listen.port), WITHIN_S) as plain:
        if not tls:
            return _ask(plain, ask, well)
        # It is this very container: whose name its certificate bears doesn't matter here.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(plain) as connection:
            return _ask(connection, ask, well)


def _ask(connection: socket.socket, request: bytes, well: bytes) -> bool:
    connection.sendall(request)
    return connection.recv(4096).split(b" ")[1:2] == [well]


if __name__ == "__main__":
    try:
        sys.exit(0 if answers(*command(Path("/proc/1/cmdline").read_bytes())) else 1)
    except OSError as error:
        sys.exit(f"nobody answers: {error}")
