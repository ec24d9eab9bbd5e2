"""Many people and devices in one room: who they are, their tokens, and light connections.

People stand in one location each, cameras too, so that whoever is heard of elsewhere is a leak.
"""

import asyncio
import base64
import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ucam.base import config as configuration
from ucam.base.jid import JID
from ucam.protocol.messages import AnyMessage, Connect, Disconnect, Welcome, decode
from ucam.web import shared_keys
from ucam.web.config import WebConfig
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.service import open_state
from ucam.web.sessions import Sessions

LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class World:
    """`places` locations, in each so many people and cameras."""

    places: int
    people_each: int
    cameras_each: int

    def people(self, place: int) -> list[str]:
        return [f"p{n}-{place}@people.example" for n in range(self.people_each)]

    def cameras(self, place: int) -> list[str]:
        return [f"c{n}-{place}@site.loc" for n in range(self.cameras_each)]

    def config(self, port: int, public_port: int, data_dir: Path, state: str = "sqlite") -> str:
        """A web.toml."""
        everybody = [p for place in range(self.places) for p in self.people(place)]
        lines = [
            f'[http]\nlisten = "127.0.0.1:{port}"',
            f'public-url = "http://127.0.0.1:{public_port}"\ndata-dir = "{data_dir}"',
            f"[userauth]\nallowed-emails = {everybody}",
            f'[smtp]\noutbox = "{data_dir}/outbox"\n[state]\nurl = "{state}"',
        ]
        for place in range(self.places):
            lines.append(f"[locations.place{place}]\ndevices = {self.cameras(place)}")
            lines.append(f"users = {self.people(place)}")
        return "\n".join(lines) + "\n"

    async def tokens(self, config_path: Path) -> dict[str, str]:
        """A token of everybody, as logging in and `ucam token` give them; ask before the start."""
        config = configuration.load(config_path, WebConfig)
        now_s = time.time()
        keys = KeyStore(config.http.data_dir, now_s)
        state = open_state(config)
        try:
            if not config.state.url.is_sqlite:
                await shared_keys.share(keys, state, now_s)
            sessions = Sessions(state, Issuer(keys, config))
            tokens = {}
            for place in range(self.places):
                for person in self.people(place):
                    link = await sessions.create_link(JID(person), now_s)
                    tokens[person] = (await sessions.redeem_link(link, now_s)).token
                for camera in self.cameras(place):
                    issued = sessions.issuer.first_token(JID(camera), "device", now_s)
                    tokens[camera] = issued.token
            return tokens
        finally:
            await state.close()


def place_of(jid: str) -> str:
    """Where somebody belongs: it stands in the name."""
    return jid.partition("@")[0].rpartition("-")[2]


@dataclass(slots=True, eq=False)
class Guest(asyncio.Protocol):
    """One connection: a WebSocket (RFC 6455) without anything that a test doesn't need.

    Knows who it has been told of; `leaks` are those of other places.
    """

    jid: str
    token: str
    query: str = ""
    on_text: Callable[[bytes], None] | None = None
    welcomed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    roster: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)
    heard: int = 0
    refused: int = 0
    full: str = ""
    _transport: asyncio.Transport | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _open: bool = False

    async def come(self, port: int) -> None:
        """Connect, and wait for the Welcome; who is refused tries again."""
        loop = asyncio.get_running_loop()
        while not self.welcomed.is_set():
            self.closed.clear()
            await loop.create_connection(lambda: self, "127.0.0.1", port)
            waits = [asyncio.ensure_future(e.wait()) for e in (self.welcomed, self.closed)]
            await asyncio.wait(waits, return_when="FIRST_COMPLETED")
            for wait in waits:
                wait.cancel()
            if not self.welcomed.is_set():
                self.refused += 1
                await asyncio.sleep(0.5)

    def leave(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def say(self, text: bytes) -> None:
        """Send a text."""
        assert self._transport is not None
        size = len(text)
        head = bytes([0x81]) + (
            bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
        )
        # The mask is zero, so the text stands as it is.
        self._transport.write(head + bytes(4) + text)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /ws?{self.query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer {self.token}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head:
                self._buffer.clear()
                self.leave()
                return
            self._buffer, self._open = bytearray(rest), True
        while (frame := self._frame()) is not None:
            code, payload = frame
            if code == 1:
                self.heard += 1
                self._take(payload)
            elif code == 9 and self._transport is not None:  # ping
                self._transport.write(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1] & 0x7F, 2
        if size == 126 and len(buffer) >= 4:
            size, at = int.from_bytes(buffer[2:4]), 4
        elif size == 127 and len(buffer) >= 10:
            size, at = int.from_bytes(buffer[2:10]), 10
        elif size >= 126:
            return None
        if len(buffer) < at + size:
            return None
        payload = bytes(buffer[at : at + size])
        code = buffer[0] & 0x0F
        del buffer[: at + size]
        return code, payload

    def _take(self, text: bytes) -> None:
        if self.on_text is not None:
            self.on_text(text)
        # Most texts in a storm are of these three; the others name nobody that these don't.
        if text.startswith((b'{"type":"Welcome"', b'{"type":"Connect"', b'{"type":"Disconnect"')):
            self._learn(decode(text, LARGEST))

    def _learn(self, message: AnyMessage) -> None:
        match message:
            case Welcome():
                self.full = message.jid
                self.roster = {peer.jid for peer in message.roster}
                told = self.roster
                self.welcomed.set()
            case Connect():
                self.roster.add(message.jid)
                told = {message.jid}
            case Disconnect():
                self.roster.discard(message.jid)
                told = {message.jid}
            case _:
                return
        mine = place_of(self.jid)
        self.leaks += [jid for jid in told if place_of(jid) != mine]


async def until_all_know_each_other(guests: Sequence[Guest]) -> None:
    """Wait until everybody's roster is whoever else is in their place, and nobody else."""
    here: dict[str, set[str]] = {}
    for guest in guests:
        here.setdefault(place_of(guest.jid), set()).add(guest.full)
    while any(g.roster != here[place_of(g.jid)] - {g.full} for g in guests):
        await asyncio.sleep(0.05)


def text(**fields: object) -> bytes:
    """A message, as JSON."""
    return msgspec.json.encode(fields)
