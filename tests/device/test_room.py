import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from device.helpers import speaking, unsigned_token
from ucam.base.backoff import Backoff
from ucam.base.times import format_utc
from ucam.device.room import RoomConnection, RoomHandlers, socket_url
from ucam.device.token import TokenStore
from ucam.protocol.messages import AnyMessage, Chat, IceServer, Welcome, decode, encode

WELCOME = Welcome(
    jid="cam001@studio.loc/abc",
    roster=(),
    ice_servers=(IceServer(urls=("stun:stun.example.com",)),),
    server_time=format_utc(0),
    locations=(),
)
real_delay = Backoff.next_delay_s
Behaviour = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Seen:
    """What the room's owner is told, in order."""

    events: asyncio.Queue[tuple[str, object]] = field(default_factory=asyncio.Queue)

    @property
    def handlers(self) -> RoomHandlers:
        return RoomHandlers(
            connected=lambda welcome: self.events.put_nowait(("connected", welcome)),
            message=lambda message: self.events.put_nowait(("message", message)),
            disconnected=lambda reason: self.events.put_nowait(("disconnected", reason)),
        )

    async def next(self, kind: str) -> object:
        async with asyncio.timeout(5):
            found, value = await self.events.get()
        assert found == kind, (found, value)
        return value


@asynccontextmanager
async def in_a_room(
    tmp_path: Path, behaviour: Behaviour
) -> AsyncIterator[tuple[RoomConnection, Seen]]:
    (tmp_path / "token").write_text(unsigned_token(0, 10))
    seen = Seen()
    async with serve(behaviour, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        room = RoomConnection(
            f"http://127.0.0.1:{port}",
            TokenStore(tmp_path / "token", None),
            seen.handlers,
            name="Front door",
            capabilities=("live",),
        )
        task = asyncio.create_task(room.run())
        try:
            yield room, seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_welcome_then_messages_both_ways(tmp_path: Path) -> None:
    got: asyncio.Queue[AnyMessage] = asyncio.Queue()

    async def behaviour(socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.headers["Authorization"] == f"Bearer {unsigned_token(0, 10)}"
        query = parse_qs(urlsplit(socket.request.path).query)
        assert query == {"name": ["Front door"], "capabilities": ["live"]}
        assert "Sec-WebSocket-Extensions" not in socket.request.headers
        await socket.send(encode(WELCOME))
        await socket.send("nonsense")
        await socket.send(encode(Chat(text="hello")))
        async for text in socket:
            got.put_nowait(decode(text))

    async with in_a_room(tmp_path, behaviour) as (room, seen):
        assert not room.send(Chat(text="too early"))
        assert await seen.next("connected") == WELCOME
        assert await seen.next("message") == Chat(text="hello")
        assert room.connected
        assert room.local_address == "127.0.0.1"
        assert room.ice_servers == WELCOME.ice_servers
        assert room.clock_offset_s is not None
        assert room.clock_offset_s > 1e9
        assert room.send(Chat(text="hi"))
        assert await got.get() == Chat(text="hi")


async def test_it_comes_back_after_a_cut(tmp_path: Path) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await socket.send(encode(WELCOME))
        socket.transport.abort()

    async with in_a_room(tmp_path, behaviour) as (room, seen):
        for _ in range(2):
            await seen.next("connected")
            await seen.next("disconnected")
        assert not room.connected


async def test_a_room_that_does_not_welcome_is_left(tmp_path: Path) -> None:
    times = 0

    async def behaviour(socket: ServerConnection) -> None:
        nonlocal times
        times += 1
        await socket.send(encode(Chat(text="not a welcome") if times == 1 else WELCOME))
        await socket.wait_closed()

    async with in_a_room(tmp_path, behaviour) as (_, seen):
        await seen.next("connected")
        assert times == 2


async def test_a_room_that_hangs_up_before_its_welcome_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = 0

    async def behaviour(socket: ServerConnection) -> None:
        nonlocal times
        times += 1
        if times == 1:
            await socket.close(4403)
        else:
            await socket.send(encode(WELCOME))
            await socket.wait_closed()

    async with in_a_room(tmp_path, behaviour) as (_, seen):
        await seen.next("connected")
    assert "no longer has this device" in caplog.text


async def test_what_is_no_web_application_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(unsigned_token(0, 10))
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as other:
        tokens = TokenStore(tmp_path / "token", None)
        task = asyncio.create_task(
            RoomConnection(other.url, tokens, Seen().handlers, name="x").run()
        )
        async with asyncio.timeout(5):
            while other.asked < 2:
                await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_devices_with_one_jid_do_not_fight_without_pause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await socket.send(encode(WELCOME))
        await socket.close(4409)

    delays: list[float] = []

    def shorter(backoff: Backoff) -> float:
        delays.append(backoff._next_s)
        return real_delay(backoff) / 50

    monkeypatch.setattr(Backoff, "next_delay_s", shorter)
    async with in_a_room(tmp_path, behaviour) as (_, seen):
        for _ in range(4):
            await seen.next("connected")
            await seen.next("disconnected")
    assert delays[:3] == [0.5, 1.0, 2.0]
    assert "another one came with the same JID" in caplog.text


async def test_a_room_that_takes_nothing_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await socket.send(encode(WELCOME))
        await socket.wait_closed()

    async with in_a_room(tmp_path, behaviour) as (room, seen):
        await seen.next("connected")
        # Without a turn of the loop nothing is written: the queue must not grow for ever.
        refused = [room.send(Chat(text="x")) for _ in range(300)].count(False)
        assert refused == 300 - 256
        await seen.next("disconnected")
        await seen.next("connected")
    assert "takes no messages" in caplog.text


def test_the_token_never_stands_in_the_url() -> None:
    url = socket_url("https://cams.example.com", "Hof & Tor", ("live",), "r1")
    assert url == "wss://cams.example.com/ws?name=Hof+%26+Tor&capabilities=live&resource=r1"
