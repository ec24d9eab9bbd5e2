"""coturn on this machine, with the secret that the web application would share with it."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.site import free_port

SECRET = "test:secret/with+signs="


def own_address() -> str:
    """This machine's, as others see it: libnice doesn't look for a relay on 127.0.0.1. What is
    sent to it stays on the machine.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network interface")
        return str(sock.getsockname()[0])


@contextlib.contextmanager
def coturn(folder: Path) -> Iterator[str]:
    """Its address and port."""
    address, port = own_address(), free_port()
    command = [
        "turnserver",
        "-n",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--allow-loopback-peers",
        "--verbose",
    ]
    command += [f"--listening-ip={address}", f"--listening-port={port}", f"--relay-ip={address}"]
    command += ["--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=ucam"]
    command += [f"--pidfile={folder}/turn.pid", f"--userdb={folder}/turn.db", "--log-file=stdout"]
    with (folder / "turn.log").open("wb") as log:
        try:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        except FileNotFoundError:
            pytest.skip("coturn is not installed")
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, port)):
                break
            assert server.poll() is None, (folder / "turn.log").read_text()
            assert time.monotonic() < deadline, "coturn isn't ready"
            time.sleep(0.05)
        yield f"{address}:{port}"
    finally:
        server.terminate()
        server.wait(10)
