"""A small world for the web application's tests: two locations, and who may see them."""

import asyncio
import contextlib
import email
import io
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.policy import default as mail_policy
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ucam.base import config as configuration
from ucam.base.jid import JID
from ucam.base.service import Stop
from ucam.base.tokens import Role
from ucam.cli import main
from ucam.protocol.messages import AnyMessage, Message, Welcome, decode, encode
from ucam.web.access import Access
from ucam.web.config import WebConfig
from ucam.web.members import Close, Effect, Newcomer, Send
from ucam.web.service import serve

ANN, BOB = "ann@example.com", "bob@example.com"
YARD, TILL, DISK = "yard@home.loc", "till@shop.loc", "disk@shop.loc"
NOW_S = 1_800_000_000.0

# Ann sees both locations, Bob the shop alone.
TOML = """\
[http]
listen = "127.0.0.1:{port}"
public-url = "http://127.0.0.1:{port}"
data-dir = "data"
[userauth]
allowed-emails = ["ann@example.com", "bob@example.com"]
[smtp]
outbox = "outbox"
from = "ucam <cams@example.com>"
[locations.home]
devices = ["yard@home.loc"]
users = ["ann@example.com"]
[locations.shop]
title = "The shop"
timezone = "Europe/Lisbon"
devices = ["till@shop.loc"]
storage = "disk@shop.loc"
"""


def write_config(folder: Path, *, port: int = 7070, text: str = TOML) -> Path:
    """A web.toml in `folder`."""
    path = folder / "web.toml"
    path.write_text(text.replace("{port}", str(port)))
    return path


def load_config(folder: Path, *, port: int = 7070, text: str = TOML) -> WebConfig:
    """The configuration of `write_config`."""
    return configuration.load(write_config(folder, port=port, text=text), WebConfig)


def access(folder: Path, text: str = TOML) -> Access:
    """The rules of the small world."""
    return Access.of(load_config(folder, text=text))


def who(jid: str, role: Role = "user", name: str = "") -> Newcomer:
    """A newcomer; `jid` is full."""
    full = JID.parse(jid)
    return Newcomer(full, role, name or full.local)


def sent_to(effects: list[Effect], connection: int) -> list[AnyMessage]:
    """What a connection hears of these effects."""
    return [e.message for e in effects if isinstance(e, Send) and connection in e.to]


def closed(effects: list[Effect]) -> list[tuple[int, int]]:
    """Connections that these effects close, with their codes."""
    return [(e.connection, e.code) for e in effects if isinstance(e, Close)]


def free_port() -> int:
    """A port that is free on 127.0.0.1."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def ucam(*arguments: str) -> tuple[int, str, str]:
    """Run the command beside the service; its status and what it says."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = await asyncio.to_thread(main, arguments)
    return status, out.getvalue(), err.getvalue()


@dataclass
class Running:
    """A web application that runs, and ways to talk to it."""

    url: str
    folder: Path
    stop: Stop
    http: httpx.AsyncClient
    config_path: Path

    def config(self) -> WebConfig:
        """What its file says."""
        return configuration.load(self.config_path, WebConfig)

    def device_token(self, jid: str, role: Role = "device") -> str:
        """What `ucam token` prints."""
        import time

        from ucam.web.issuer import Issuer
        from ucam.web.keys import KeyStore

        config = self.config()
        issuer = Issuer(KeyStore(config.http.data_dir, time.time()), config)
        return issuer.first_token(JID.parse(jid), role, time.time()).token

    async def link_token(self, address: str) -> str:
        """Ask for a link and take its token out of the mail."""
        before = self.mails_to(address)
        answer = await self.http.post("/auth", json={"email": address})
        assert answer.status_code == 202
        async with asyncio.timeout(20):
            while True:
                if new := self.mails_to(address) - before:
                    return link_in(new.pop().read_bytes())
                await asyncio.sleep(0.01)

    def mails_to(self, address: str) -> set[Path]:
        """The files of the mails that somebody has got."""
        return {
            path
            for path in (self.folder / "outbox").glob("*.eml")
            if email.message_from_bytes(path.read_bytes())["To"] == address
        }

    async def log_in(self, address: str) -> str:
        """A JWT of a fresh session."""
        answer = await self.http.post("/auth", json={"token": await self.link_token(address)})
        assert answer.status_code == 200
        return str(answer.json()["token"])

    async def recycle(self, token: str) -> httpx.Response:
        """POST /auth with a Bearer token."""
        return await self.http.post("/auth", headers={"Authorization": f"Bearer {token}"})

    @asynccontextmanager
    async def room(self, token: str, query: str = "", **more: object) -> AsyncIterator["Visitor"]:
        """Be in the room."""
        url = f"{self.url.replace('http', 'ws', 1)}/ws?{query}"
        headers = {"Authorization": f"Bearer {token}"}
        # Without a bound: visitors that don't listen for a while must still hear the farewell.
        options: dict[str, Any] = {"max_queue": None, **more}
        async with connect(url, additional_headers=headers, **options) as socket:
            visitor = Visitor(socket)
            message = await visitor.hear()
            assert isinstance(message, Welcome)
            visitor.welcome = message
            yield visitor


class Visitor:
    """A peer in the room."""

    welcome: Welcome

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @property
    def jid(self) -> str:
        """Its full JID."""
        return self.welcome.jid

    async def hear(self) -> AnyMessage:
        """The next message."""
        async with asyncio.timeout(5):
            return decode(await self.socket.recv())

    async def say(self, message: Message) -> None:
        """Send a message."""
        await self.socket.send(encode(message))  # type: ignore[arg-type]

    async def close_code(self) -> int | None:
        """Read until the other side closes."""
        async with asyncio.timeout(8):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code


def link_in(mail: bytes) -> str:
    """The login token in a mail's text."""
    body = email.message_from_bytes(mail, policy=mail_policy).get_body(("plain",))
    assert body is not None
    match = re.search(r"/login#t=(\S+)", body.get_content())
    assert match is not None
    return match[1]


@asynccontextmanager
async def running(
    folder: Path, text: str = TOML, port: int | None = None
) -> AsyncIterator[Running]:
    """A web application on a port of its own (or one that an earlier one had), ended at the end."""
    port = port or free_port()
    path = write_config(folder, port=port, text=text)
    url = f"http://127.0.0.1:{port}"
    stop = Stop()
    stop.config_path = path
    task = asyncio.ensure_future(serve(configuration.load(path, WebConfig), stop))
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            await _until_it_answers(http, task)
            yield Running(url, folder, stop, http, path)
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


async def _until_it_answers(http: httpx.AsyncClient, task: "asyncio.Future[None]") -> None:
    async with asyncio.timeout(10):
        while not task.done():
            try:
                await http.get("/healthz")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.02)
    await task
