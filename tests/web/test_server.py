"""The server around the application: TLS of its own, and whose word about addresses it takes."""

import asyncio
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from support.smtp import make_certificate
from ucam.base import config as configuration
from ucam.base.config import ConfigError
from ucam.base.service import Fault, Stop
from ucam.base.units import Listen
from ucam.web.config import WebConfig
from ucam.web.server import listen
from ucam.web.service import serve
from web.helpers import ANN, TOML, Running, free_port, load_config, write_config

TLS = TOML.replace('data-dir = "data"', 'data-dir = "data"\ncert = "web.pem"\nkey = "web.pem"')
TLS = TLS.replace("http://", "https://")


async def serial(port: int) -> int:
    """The number of the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    from cryptography import x509

    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    assert version in ("TLSv1.2", "TLSv1.3")
    return x509.load_der_x509_certificate(shown).serial_number


async def test_tls_of_its_own_with_a_certificate_that_is_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    certificate = make_certificate(tmp_path / "web.pem", serial=1)
    path = write_config(tmp_path, port=port, text=TLS)
    stop = Stop()
    stop.config_path = path
    task = asyncio.ensure_future(serve(configuration.load(path, WebConfig), stop))
    try:
        trusted = ssl.create_default_context(cafile=certificate)
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as http:
            async with asyncio.timeout(20):
                while True:
                    try:
                        answer = await http.get(f"https://127.0.0.1:{port}/healthz")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.02)
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert await serial(port) == 1
            make_certificate(certificate, serial=2)
            stop.reload()
            assert await serial(port) == 2
            # One that can't be used leaves the good one in force, for new connections, too.
            certificate.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
            stop.reload()
            assert "the certificate in force stays" in caplog.text
            assert await serial(port) == 2
            # Who speaks plain HTTP gets no answer, rather than one in the clear.
            with pytest.raises(httpx.TransportError):
                await http.get(f"http://127.0.0.1:{port}/healthz")
    finally:
        stop.set()
        await task


async def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "web.pem").write_text("nonsense")
    with pytest.raises(Fault, match=r"\[http\] cert .*web.pem"):
        await serve(load_config(tmp_path, port=free_port(), text=TLS), Stop())
    with pytest.raises(ConfigError, match="go together"):
        load_config(tmp_path, text=TLS.replace('key = "web.pem"\n', ""))


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with listen(Listen("127.0.0.1:0")) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_proxy_on_this_machine_says_who_asks(web: Running) -> None:
    """Its last word counts: what stands before it may be anybody's."""
    for forwarded, network in (
        ("203.0.113.9", "203.0.113.0/24"),
        ("10.0.0.1, 203.0.113.10", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ):
        link = await web.link_token(ANN)
        headers = {"X-Forwarded-For": forwarded}
        answer = await web.http.post("/auth", json={"token": link}, headers=headers)
        token = answer.json()["token"]
        listed = await web.http.get(
            "/sessions", headers={"Authorization": f"Bearer {token}", **headers}
        )
        assert listed.json()["sessions"][0]["network"] == network


@pytest.mark.parametrize("line", ['trusted-proxies = ["nonsense"]', 'metrics = ["10.0.0.1/8"]'])
def test_networks_that_are_none(tmp_path: Path, line: str) -> None:
    text = TOML.replace('data-dir = "data"', f'data-dir = "data"\n{line}')
    with pytest.raises(ConfigError, match=r"web.toml:\d+: http.*neither an address nor a network"):
        load_config(tmp_path, text=text)
