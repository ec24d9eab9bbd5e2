"""The sample configurations of nginx and Caddy, in the real programs, in front of a real ucam."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from support.site import free_port
from support.smtp import make_certificate
from ucam.protocol.messages import Welcome, decode
from web.helpers import ANN, TOML, Running, running

pytestmark = pytest.mark.interop

CONFIG = Path(__file__).parents[2] / "config"
# Somebody elsewhere, as far as one machine has that.
CLIENT, CLIENTS_NETWORK = "127.1.2.3", "127.1.2.0/24"


@dataclass(frozen=True)
class Ports:
    """Where the proxy listens, with TLS and without, and where ucam is behind it."""

    tls: int
    plain: int
    web: int


def changed(sample: str, *changes: tuple[str, str]) -> str:
    """A sample file with what an operator changes; each must be there."""
    text = (CONFIG / sample).read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, ports: Ports, certificate: Path) -> list[str]:
    """The command of an nginx that runs the sample."""
    site = folder / "ucam-site"
    live = "/etc/letsencrypt/live/cams.example.com"
    site.write_text(
        changed(
            "nginx.conf",
            ("listen 80;", f"listen 127.0.0.1:{ports.plain};"),
            ("listen [::]:80;", ""),
            ("listen 443 ssl;", f"listen 127.0.0.1:{ports.tls} ssl;"),
            ("listen [::]:443 ssl;", ""),
            ("cams.example.com;", "127.0.0.1;"),
            (f"{live}/fullchain.pem", str(certificate)),
            (f"{live}/privkey.pem", str(certificate)),
            ("/var/log/nginx/ucam.log", str(folder / "access.log")),
            ("127.0.0.1:7070", f"127.0.0.1:{ports.web}"),
        )
    )
    main = folder / "nginx.conf"
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\n{paths}include {site};\n}}\n"
    )
    command = ["nginx", "-p", str(folder), "-c", str(main), "-e", "stderr"]
    subprocess.run([*command, "-t"], check=True, capture_output=True, timeout=20)
    return command


def caddy(folder: Path, ports: Ports, certificate: Path) -> list[str]:
    """The command of a Caddy that runs the sample, with the test's certificate."""
    file = folder / "Caddyfile"
    options = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\thttp_port {ports.plain}\n}}\n"
    file.write_text(
        options
        + changed(
            "Caddyfile",
            ("cams.example.com {", f"https://127.0.0.1:{ports.tls} {{\n\tbind 127.0.0.1"),
            ("127.0.0.1:7070", f"127.0.0.1:{ports.web}\n\ttls {certificate} {certificate}"),
        )
    )
    common = ["--config", str(file), "--adapter", "caddyfile"]
    subprocess.run(["caddy", "validate", *common], check=True, capture_output=True, timeout=20)
    return ["caddy", "run", *common]


@contextlib.asynccontextmanager
async def in_front(
    folder: Path, make: Callable[[Path, Ports, Path], list[str]]
) -> AsyncIterator[tuple[Running, httpx.AsyncClient, ssl.SSLContext]]:
    """A ucam whose public URL is the proxy's, and a client elsewhere that trusts the proxy."""
    tls, plain = free_port(), free_port()
    certificate = make_certificate(folder / "proxy.pem")
    trusted = ssl.create_default_context(cafile=certificate)
    public = f"https://127.0.0.1:{tls}"
    text = TOML.replace('public-url = "http://127.0.0.1:{port}"', f'public-url = "{public}"')
    async with running(folder, text) as web:
        command = make(folder, Ports(tls, plain, int(web.url.rpartition(":")[2])), certificate)
        environment = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with (folder / "proxy.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            way = httpx.AsyncHTTPTransport(verify=trusted, local_address=CLIENT)
            async with httpx.AsyncClient(base_url=public, transport=way) as client:
                async with asyncio.timeout(30):
                    while True:
                        assert process.poll() is None, (folder / "proxy.log").read_text()
                        with contextlib.suppress(httpx.TransportError):
                            if (await client.get("/healthz")).status_code == 200:
                                break
                        await asyncio.sleep(0.05)
                yield web, client, trusted
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("make", [nginx, caddy])
async def test_the_sample_carries_logins_the_room_and_who_asks(
    tmp_path: Path, make: Callable[[Path, Ports, Path], list[str]]
) -> None:
    async with in_front(tmp_path, make) as (web, client, trusted):
        # A stranger's own claim about where they are is not believed.
        forged = {"X-Forwarded-For": "203.0.113.9"}
        link = await web.link_token(ANN)
        answer = await client.post("/auth", json={"token": link}, headers=forged)
        token = answer.json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        listed = await client.get("/sessions", headers={**bearer, **forged})
        assert listed.json()["sessions"][0]["network"] == CLIENTS_NETWORK
        # What only this machine may read stays unseen from elsewhere.
        assert (await web.http.get("/metrics")).status_code == 200
        assert (await client.get("/metrics")).status_code == 404

        # A page in the room: its origin is the public URL.
        origin = web.config().http.public_url
        headers = {**bearer, "Origin": origin}
        room = origin.replace("https", "wss", 1) + "/ws"
        async with connect(room, ssl=trusted, additional_headers=headers) as socket:
            assert isinstance(decode(await asyncio.wait_for(socket.recv(), 20)), Welcome)


async def test_nginx_logs_no_query(tmp_path: Path) -> None:
    async with in_front(tmp_path, nginx) as (_web, client, _trusted):
        await client.get("/healthz", params={"auth": "a-token-in-the-address"})
        log = tmp_path / "access.log"
        async with asyncio.timeout(20):
            while '"GET /healthz" 200' not in (log.read_text() if log.exists() else ""):
                await asyncio.sleep(0.05)
        assert "a-token" not in log.read_text()
