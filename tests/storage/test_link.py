"""Links against Python's own TLS client, over loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from ucam.storage import link as module
from ucam.storage.link import BUFFER_BYTES, REST_S, Link, Links
from ucam.storage.tls import make_certificate, server_context


class Owner:
    """Keeps what it gets; answers what `answer` makes of it."""

    def __init__(self, answer: Callable[["Owner", bytes], None]) -> None:
        self.link: Link | None = None
        self.pieces: list[bytes] = []
        self.gone = asyncio.Event()
        self._answer = answer

    def connected(self, link: Link) -> None:
        self.link = link

    def received(self, data: memoryview) -> None:
        self.pieces.append(bytes(data))
        self._answer(self, bytes(data))

    def lost(self) -> None:
        assert not self.gone.is_set()
        self.gone.set()

    @property
    def all(self) -> bytes:
        return b"".join(self.pieces)


Answer = Callable[[Owner, bytes], None]


class Server:
    def __init__(self, folder: Path, rest_s: float) -> None:
        cert, key = make_certificate("test", datetime.now(UTC))
        (folder / "cert.pem").write_bytes(cert)
        (folder / "key.pem").write_bytes(key)
        self.links = Links(server_context(folder / "cert.pem", folder / "key.pem"), rest_s)
        self.owners: list[Owner] = []
        self.port = 0

    def owner(self, answer: Answer) -> Owner:
        self.owners.append(Owner(answer))
        return self.owners[-1]


@asynccontextmanager
async def serving(
    folder: Path, answer: Answer = lambda owner, data: None, rest_s: float = REST_S
) -> AsyncIterator[Server]:
    server = Server(folder, rest_s)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Link(server.links, lambda: server.owner(answer)), "127.0.0.1", 0
    )
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection("127.0.0.1", server.port, ssl=context)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def echo(owner: Owner, data: bytes) -> None:
    assert owner.link is not None
    owner.link.write(data)


async def test_bytes_go_both_ways_more_than_a_buffer_of_them(tmp_path: Path) -> None:
    sent = bytes(range(256)) * 4 * 1024 + b"end"
    assert len(sent) > 3 * BUFFER_BYTES
    async with serving(tmp_path, echo) as server:
        reader, writer = await connect(server)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        writer.close()
        await asyncio.wait_for(server.owners[0].gone.wait(), 10)
    assert server.owners[0].all == sent


async def test_what_comes_with_the_goodbye_is_received(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for _ in range(5):
            _, writer = await connect(server)
            writer.write(b"last words")
            writer.close()
            await until(lambda: server.owners and server.owners[-1].gone.is_set())
            assert server.owners.pop().all == b"last words"


async def test_our_goodbye_follows_what_was_written(tmp_path: Path) -> None:
    def say_and_end(owner: Owner, data: bytes) -> None:
        assert owner.link is not None
        owner.link.write(b"x" * 500_000)
        owner.link.close()
        owner.link.write(b"never")

    async with serving(tmp_path, say_and_end) as server:
        reader, writer = await connect(server)
        writer.write(b"?")
        # A cut without TLS's goodbye would be an SSLError here.
        assert len(await reader.read(-1)) == 500_000
        writer.close()
        await asyncio.wait_for(server.owners[0].gone.wait(), 10)


def rest(owner: Owner, data: bytes) -> None:
    assert owner.link is not None
    owner.link.rest()


async def test_a_link_that_rests_takes_what_piled_up_in_one_piece(tmp_path: Path) -> None:
    loop, rest_s = asyncio.get_running_loop(), 0.4
    async with serving(tmp_path, rest, rest_s) as server:
        _, writer = await connect(server)
        began = loop.time() // rest_s
        for number in range(10, 60):
            writer.write(b"%d" % number)
            await writer.drain()
            await asyncio.sleep(0.02)
        await until(lambda: len(server.owners[0].all) == 100)
        looks = len(server.owners[0].pieces)
        assert looks <= loop.time() // rest_s - began + 1
        assert server.owners[0].all == b"".join(b"%d" % number for number in range(10, 60))
        writer.close()
        await asyncio.wait_for(server.owners[0].gone.wait(), 10)


async def test_more_than_a_record_comes_in_one_piece(tmp_path: Path) -> None:
    """What is decrypted in several steps is given at once."""
    sent = bytes(range(256)) * 400
    async with serving(tmp_path, rest, 2.0) as server:
        _, writer = await connect(server)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2.0 - loop.time() % 2.0)
        writer.write(b"!")  # it rests from here on
        await until(lambda: server.owners and server.owners[0].pieces)
        writer.write(sent)
        await until(lambda: len(server.owners[0].all) == 1 + len(sent))
        assert server.owners[0].pieces == [b"!", sent]
        writer.close()
        await asyncio.wait_for(server.owners[0].gone.wait(), 10)


async def test_who_brings_much_rests_less() -> None:
    class Resting:
        def __init__(self, name: str) -> None:
            self.name = name

        def wake(self) -> None:
            woken.append(self.name)

    woken: list[str] = []
    loop, period_s = asyncio.get_running_loop(), 0.4
    links = Links(ssl.create_default_context(), period_s)
    await asyncio.sleep(period_s - loop.time() % period_s)
    assert links.rest(cast(Link, Resting("little")), much=False)
    assert links.rest(cast(Link, Resting("much")), much=True)
    await until(lambda: len(woken) == 2)
    assert woken == ["much", "little"]


async def test_nobody_rests_when_the_server_stops(tmp_path: Path) -> None:
    async with serving(tmp_path, rest, 0.5) as server:
        _, writer = await connect(server)
        writer.write(b"0")
        await until(lambda: server.owners and server.owners[0].pieces)
        writer.write(b"1")
        await writer.drain()
        await server.links.catch_up()
        assert server.owners[0].all == b"01"
        writer.write(b"2")
        await until(lambda: server.owners[0].all == b"012")
        writer.close()


async def test_a_paused_link_leaves_it_to_the_sender(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        _, writer = await connect(server)
        writer.write(b"a")
        await until(lambda: server.owners and server.owners[0].pieces)
        link = server.owners[0].link
        assert link is not None
        link.pause()
        writer.write(b"b" * 20_000_000)
        await asyncio.sleep(0.3)
        assert len(server.owners[0].all) == 1
        link.resume()
        writer.close()
        await asyncio.wait_for(server.owners[0].gone.wait(), 10)
        assert len(server.owners[0].all) == 20_000_001


async def test_who_takes_nothing_has_a_backlog(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        reader, writer = await connect(server)
        writer.write(b"a")
        await until(lambda: server.owners and server.owners[0].pieces)
        link = server.owners[0].link
        assert link is not None
        link.write(bytes(30_000_000))
        assert link.backlog() > 5_000_000
        assert len(await reader.readexactly(30_000_000)) == 30_000_000
        assert link.backlog() == 0
        link.abort()
        await asyncio.wait_for(server.owners[0].gone.wait(), 10)
        writer.close()


async def test_what_is_no_tls_is_closed_and_no_owner_hears_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert b"RTSP" not in await asyncio.wait_for(reader.read(-1), 10)
        writer.close()
        await until(lambda: not server.links.handshakes)
        assert not server.owners


async def test_handshakes_are_bounded_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_S", 1.0)
    async with serving(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert not await asyncio.wait_for(reader.read(), 10)
        assert not server.links.handshakes
        writer.close()
        reader, writer = await connect(server)  # and others come in
        writer.close()
        await until(lambda: server.owners and server.owners[0].gone.is_set())


def handshakes(server: Server, number: int) -> bool:
    return len(server.links.handshakes) == number


async def test_handshakes_are_bounded_in_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest goes: whoever holds sockets open and says nothing locks nobody out."""
    monkeypatch.setattr(module, "HANDSHAKE_S", 60.0)
    monkeypatch.setattr(module, "MOST_HANDSHAKES", 2)
    async with serving(tmp_path) as server:
        silent = []
        for number in (1, 2):
            silent.append(await asyncio.open_connection("127.0.0.1", server.port))
            await until(partial(handshakes, server, number))
        _, writer = await connect(server)
        assert not await asyncio.wait_for(silent[0][0].read(), 10)
        assert len(server.links.handshakes) == 1
        for each in (writer, *(each for _, each in silent)):
            each.close()
        await until(lambda: server.owners and server.owners[0].gone.is_set())
        await until(lambda: not server.links.handshakes)
