"""The sample configuration of coturn, in the real coturn: credentials of ucam web relay, nobody
else does, and nothing near the relay is reached."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from support.site import free_port
from support.turn import TCP, Refused, TurnClient, coturn
from ucam.base.jid import JID
from ucam.web.ice import TURN_VALIDITY_S, IceServers

pytestmark = pytest.mark.interop

SAMPLE = Path(__file__).parents[2] / "config" / "turnserver.conf"
SECRET = "a secret of this test"
PEOPLE = count()


def settings(port: int, *more: str) -> str:
    """The sample, with what an operator changes, on loopback."""
    text = SAMPLE.read_text()
    text = text.replace("listening-port=3478", f"listening-port={port}")
    text = text.replace("REPLACE-WITH-openssl-rand-hex-32", SECRET)
    where = ("listening-ip=127.0.0.1", "listening-ip=::1", "relay-ip=127.0.0.1", "relay-ip=::1")
    return "\n".join((text, *where, *more, ""))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a coturn as the sample makes it."""
    port = free_port()
    with coturn(tmp_path_factory.mktemp("coturn"), settings(port), ("127.0.0.1", port)):
        yield port


def credentials(
    now_s: float | None = None, secret: str = SECRET, jid: JID | None = None
) -> tuple[str, str]:
    """As `Welcome` gives them to somebody; each time to somebody else, for each has a quota."""
    servers = IceServers((), ("turn:x",), secret)
    jid = jid or JID(f"person{next(PEOPLE)}@example.com")
    (server,) = servers.for_peer(jid, time.time() if now_s is None else now_s)
    assert server.username is not None
    assert server.credential is not None
    return server.username, server.credential


Make = Callable[..., TurnClient]


@pytest.fixture
def client() -> Iterator[Make]:
    """Makes clients, and closes them at the end."""
    with ExitStack() as stack:

        def make(port: int, user: str, password: str, host: str = "127.0.0.1") -> TurnClient:
            return stack.enter_context(closing(TurnClient((host, port), user, password)))

        yield make


def test_credentials_of_web_make_a_relay(client: Make, closed: int) -> None:
    relay = client(closed, *credentials())
    host, port = relay.allocate()
    assert host == "127.0.0.1"
    assert 49152 <= port <= 49999


def test_others_make_none(client: Make, closed: int) -> None:
    user, password = credentials()
    for wrong in (
        ("", ""),
        (user, "guessed"),
        credentials(secret="another secret"),
        (user.replace("person", "eve"), password),
        credentials(time.time() - TURN_VALIDITY_S - 60),  # ran out a minute ago
    ):
        relay = client(closed, *wrong)
        with pytest.raises(Refused) as refused:
            relay.allocate()
        assert refused.value.code == 401


def test_tcp_is_not_relayed(client: Make, closed: int) -> None:
    relay = client(closed, *credentials())
    with pytest.raises(Refused) as refused:
        relay.allocate(transport=TCP)
    assert refused.value.code in (400, 403, 442)


@pytest.mark.parametrize(
    "peer",
    [
        "0.0.0.0",
        "0.0.0.1",
        "10.0.0.1",
        "10.255.255.254",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.254",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_is_near_is_not_reached(client: Make, closed: int, peer: str) -> None:
    six = ":" in peer
    relay = client(closed, *credentials(), host="::1" if six else "127.0.0.1")
    relay.allocate(family=2 if six else 1)
    with pytest.raises(Refused) as refused:
        relay.permit(peer)
    assert refused.value.code == 403


@pytest.mark.parametrize("peer", ["1.1.1.1", "8.8.8.8", "100.128.0.1", "2606:4700::1111"])
def test_what_is_far_may_be_reached(client: Make, closed: int, peer: str) -> None:
    six = ":" in peer
    relay = client(closed, *credentials(), host="::1" if six else "127.0.0.1")
    relay.allocate(family=2 if six else 1)
    relay.permit(peer)


def test_one_person_takes_only_so_many_relays(client: Make, closed: int) -> None:
    ann = JID("ann@example.com")
    # Of several Welcomes, too: the name counts, not the credentials.
    now_s = time.time()
    relays = [client(closed, *credentials(now_s + n, jid=ann)) for n in range(25)]
    refused = []
    for relay in relays:
        try:
            relay.allocate()
        except Refused as error:
            refused.append(error.code)
    assert refused == [486]


def test_media_pass_between_two_relays(client: Make, tmp_path: Path) -> None:
    """Relay-only at both ends; the relay's own address must be allowed, as behind NAT."""
    port = free_port()
    config = settings(port, "allowed-peer-ip=127.0.0.1", "allow-loopback-peers")
    with coturn(tmp_path, config, ("127.0.0.1", port)):
        camera, viewer = client(port, *credentials()), client(port, *credentials())
        from_camera, from_viewer = camera.allocate(), viewer.allocate()
        camera.permit(*from_viewer)
        viewer.permit(*from_camera)
        camera.send(from_viewer, b"a picture")
        assert viewer.receive() == b"a picture"
        viewer.send(from_camera, b"and its answer")
        assert camera.receive() == b"and its answer"
