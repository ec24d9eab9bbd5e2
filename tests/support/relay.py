"""A relay on this machine, with the secret that the web application would share with it."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.site import free_port
from support.turn import coturn

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
def relay(folder: Path) -> Iterator[str]:
    """Its address and port. Unlike the sample's it serves peers on this machine."""
    address, port = own_address(), free_port()
    config = f"""
        listening-ip={address}
        listening-port={port}
        relay-ip={address}
        use-auth-secret
        static-auth-secret={SECRET}
        realm=ucam
        allow-loopback-peers
        no-cli
        no-tls
        no-dtls
        verbose
    """
    lines = "\n".join(line.strip() for line in config.splitlines())
    with coturn(folder, lines, (address, port)):
        yield f"{address}:{port}"
