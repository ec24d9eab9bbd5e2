"""Webhooks, received by an HTTP server: what it is told, and what is tried again."""

import asyncio
import hashlib
import hmac
import json
import logging
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.smtp import make_certificate, server_context
from ucam.base.backoff import Backoff
from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.web import alertmails, alerts
from ucam.web.alerts import Kind, News, Subject
from ucam.web.config import Alerts
from ucam.web.webhooks import MAX_WAITING, SIGNATURE, Hook, Settings, Webhooks, alert_json
from web.helpers import TILL, TOML, load_config, running

SITE = "https://cams.example.com"


class Server(ThreadingHTTPServer):
    """Python's own HTTP server; answers with `answers`, then with 204."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/hook?secret=1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.path + "&again")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings(folder: Path, *urls: str, key: str | None = None) -> Settings:
    file, key_file = folder / "webhooks", folder / "key"
    file.write_text("# ours\n\n" + "\n".join(urls) + "\n")
    if key is not None:
        key_file.write_text(f"{key}\n")
    return Settings(Alerts(webhooks_file=file, webhooks_key_file=None if key is None else key_file))


@asynccontextmanager
async def delivering(found: Settings) -> AsyncIterator[Webhooks]:
    hooks = Webhooks(found, lambda: Backoff(0.01, 0.05))
    task = asyncio.ensure_future(hooks.run())
    try:
        yield hooks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def done(hooks: Webhooks) -> None:
    async with asyncio.timeout(20):
        while hooks.waiting:
            await asyncio.sleep(0.01)


NEWS = (
    News(Subject(JID(TILL), Kind.OFFLINE), "It is not connected.", 1_800_000_000, None),
    News(Subject(JID(TILL), Kind.CLOCK), "Its clock is wrong.", 1_800_000_000, 1_800_000_600),
)
BODY = alert_json(NEWS, lambda _jid: ("Till", "The shop", "Europe/Lisbon"), SITE, 1_800_000_900.0)


def test_what_it_says() -> None:
    told = json.loads(BODY)
    assert (told["site"], told["time"]) == (SITE, "2027-01-15T08:15:00.000000Z")
    assert told["text"] == (
        "Till (The shop) is offline. Since 15 Jan 08:00. It is not connected.\n"
        "Till (The shop) has the right time again. It was not from 15 Jan 08:00 to 15 Jan 08:10."
    )
    began, ended = told["alerts"]
    assert began == {
        "device": TILL,
        "name": "Till",
        "location": "The shop",
        "kind": "offline",
        "state": "began",
        "since": "2027-01-15T08:00:00.000000Z",
        "until": None,
        "text": "It is not connected.",
    }
    assert (ended["kind"], ended["state"]) == ("clock", "ended")
    assert ended["until"] == "2027-01-15T08:10:00.000000Z"


async def test_delivered_with_a_signature(tmp_path: Path) -> None:
    with served() as server:
        async with delivering(settings(tmp_path, server.url, key="shared")) as hooks:
            hooks.submit(BODY)
            await done(hooks)
        ((path, headers, body),) = server.got
    assert (path, body) == ("/hook?secret=1", BODY)
    assert headers["Content-Type"] == "application/json"
    digest = hmac.new(b"shared", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={digest}"


async def test_over_tls_to_whom_it_trusts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path / "cert.pem")
    with served(server_context(certificate)) as server:
        async with delivering(settings(tmp_path, server.url)) as hooks:
            hooks.submit(BODY)
            await asyncio.sleep(0.3)
            assert not server.got
            assert hooks.waiting == 1
            # As if the system had come to trust it; the next try finds that.
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            await done(hooks)
        assert [body for _, _, body in server.got] == [BODY]


async def test_tried_again_or_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served() as server, caplog.at_level(logging.WARNING):
        async with delivering(settings(tmp_path, server.url)) as hooks:
            server.answers = [503, 429, 500]
            hooks.submit(BODY)
            await done(hooks)
            assert len(server.got) == 4
            for status in (302, 404, 410):
                server.got.clear()
                server.answers = [status]
                hooks.submit(BODY)
                await done(hooks)
                assert len(server.got) == 1, status
    assert "127.0.0.1 given up: status 302" in caplog.text
    assert "secret" not in caplog.text


async def test_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    deaf = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = deaf.sockets[0].getsockname()[1]
    with served() as server:
        async with delivering(settings(tmp_path, f"http://127.0.0.1:{port}/", server.url)) as hooks:
            for _ in range(3):
                hooks.submit(BODY)
            async with asyncio.timeout(20):
                while len(server.got) < 3 or hooks.waiting > 3:
                    await asyncio.sleep(0.01)
            for _ in range(MAX_WAITING):
                hooks.submit(BODY)
            assert hooks.waiting == MAX_WAITING
    deaf.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example.com ESMTP\r\n",
        b"x" * 100_000,
        b"HTTP/1.1 \r\n",
        b"HTTP/1.1 2x4 \r\n",
    ],
)
async def test_what_answers_no_http(tmp_path: Path, answer: bytes) -> None:
    tries = 0

    async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with delivering(settings(tmp_path, f"http://127.0.0.1:{port}/x")) as hooks:
            hooks.submit(BODY)
            async with asyncio.timeout(20):
                while tries < 3:
                    await asyncio.sleep(0.01)
            assert hooks.waiting == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("example.com/hook", "write it as https://"),
        ("ftp://example.com/x", "write it as https://"),
        ("http://example.com/secret", "write https://"),
        ("https://user:secret@example.com/", "no user name"),
        ("https://example.com/ secret", "no spaces"),
        ("https://example.com:99999/secret", "webhook"),
        ("https://[secret/", "webhook"),
    ],
)
def test_addresses_that_are_none(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        settings(tmp_path, url)
    assert "webhooks:3: " in str(raised.value)
    assert "secret" not in str(raised.value)


def test_addresses_that_are_some() -> None:
    for url in ("https://hooks.example.com/T0/B0/x", "http://10.0.0.7:8123/api/webhook/x"):
        assert Hook.parse(url).target.startswith("/")


async def test_a_camera_that_goes_is_told_by_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: configured, gone for long enough, told; without a mail."""
    monkeypatch.setattr(alertmails, "LOOK_S", 0.05)
    monkeypatch.setattr(alerts, "GATHER_S", 0.1)
    with served() as server:
        (tmp_path / "hooks").write_text(f"{server.url}\n")
        text = TOML.replace(
            "[locations.home]", '[alerts]\nwebhooks-file = "hooks"\nafter = "1s"\n[locations.home]'
        )
        async with running(tmp_path, text):
            async with asyncio.timeout(60):
                while not server.got:
                    await asyncio.sleep(0.1)
    told = json.loads(server.got[0][2])
    assert {alert["device"] for alert in told["alerts"]} >= {TILL}
    assert not (tmp_path / "outbox").exists()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    text = TOML.replace("[locations.home]", '[alerts]\nwebhooks-file = "no"\n[locations.home]')
    with pytest.raises(ConfigError, match="can't be read"):
        Settings(load_config(tmp_path, text=text).alerts)
