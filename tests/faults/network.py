"""A network of its own for the programs under test: loopback in a namespace, and a knife for it."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Network:
    """Programs started behind `under` share a loopback that nobody else sees."""

    def __init__(self) -> None:
        self.name = f"ucam-{os.getpid()}-{secrets.token_hex(3)}"

    @property
    def under(self) -> tuple[str, ...]:
        return "ip", "netns", "exec", self.name

    def __enter__(self) -> "Network":
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self._run("ip", "link", "set", "lo", "up")
        self._nft("add table inet cut")
        self._nft("add chain inet cut input { type filter hook input priority 0; }")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    @contextmanager
    def cut(self, port: int) -> Iterator[None]:
        """Nothing from or to that TCP port arrives, and nobody is told."""
        self._nft(f"add rule inet cut input tcp sport {port} drop")
        self._nft(f"add rule inet cut input tcp dport {port} drop")
        try:
            yield
        finally:
            self._nft("flush chain inet cut input")

    def _nft(self, command: str) -> None:
        self._run("nft", command)

    def _run(self, *command: str) -> None:
        subprocess.run([*self.under, *command], check=True, capture_output=True)


class Pair:
    """Two machines on one cable: programs behind `one.under` are at `ONE`, the others at `TWO`."""

    ONE, TWO = "192.168.77.1", "192.168.77.2"

    def __init__(self, one: Network, two: Network) -> None:
        self.one, self.two = one, two
        ends = (f"uc{secrets.token_hex(4)}", f"uc{secrets.token_hex(4)}")
        subprocess.run(
            ["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]], check=True
        )
        for end, machine, address in zip(ends, (one, two), (self.ONE, self.TWO), strict=True):
            subprocess.run(["ip", "link", "set", end, "netns", machine.name], check=True)
            machine._run("ip", "address", "add", f"{address}/24", "dev", end)
            machine._run("ip", "link", "set", end, "up")


@contextmanager
def machines() -> Iterator[Pair]:
    """Two networks with a cable between them. Skips the test where they can't be had."""
    with network() as one, network() as two:
        try:
            pair = Pair(one, two)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no virtual cable here: {error}")
        yield pair


@contextmanager
def network() -> Iterator[Network]:
    """Skips the test where namespaces or nft can't be had."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    made = Network()
    try:
        made.__enter__()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace or no nft here: {error}")
    try:
        yield made
    finally:
        made.__exit__()
