import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from device.helpers import unsigned_token
from storage.helpers import PLACE, START_US
from ucam.base.jid import JID
from ucam.base.times import format_utc
from ucam.device import roster
from ucam.device.token import TokenStore
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    Connect,
    DeviceInfo,
    Disconnect,
    EndMedia,
    IceServer,
    LocationInfo,
    Peer,
    RequestMedia,
    Status,
    Welcome,
    decode,
    encode,
)
from ucam.storage.room import StorageRoom, status_fields

CAMERA = f"{PLACE.jid}/x"
VIEWER = "owner@shop.loc/page"


def welcome(*peers: Peer) -> Welcome:
    return Welcome(
        jid="storage@studio.loc/abc",
        roster=peers,
        ice_servers=(IceServer(urls=("stun:stun.example.com",)),),
        server_time=format_utc(0),
        locations=(),
    )


@dataclass
class SpyPeers:
    """Notes what reaches the calls."""

    calls: list[Any] = field(default_factory=list)
    ice_servers: tuple[IceServer, ...] = ()
    viewers: list[str] = field(default_factory=list)

    def request(self, message: RequestMedia, allowed: frozenset[str], role: str) -> None:
        self.calls.append((message.from_, message.call, allowed, role))

    def answer(self, message: AnswerMedia) -> None:
        self.calls.append(message.sdp)

    def end(self, message: EndMedia) -> None:
        self.calls.append(message.call)

    def gone(self, jid: str) -> None:
        self.calls.append(jid)
        self.viewers = [viewer for viewer in self.viewers if viewer != jid]


@dataclass
class Scene:
    room: StorageRoom
    peers: SpyPeers
    status: dict[str, Any]
    said: "asyncio.Queue[AnyMessage]"
    socket: ServerConnection

    async def hear(self, message: AnyMessage) -> None:
        await self.socket.send(encode(message))


@asynccontextmanager
async def scene(tmp_path: Path, first: Welcome) -> AsyncIterator[Scene]:
    said: asyncio.Queue[AnyMessage] = asyncio.Queue()
    sockets: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def behaviour(socket: ServerConnection) -> None:
        await socket.send(encode(first))
        sockets.put_nowait(socket)
        async for text in socket:
            said.put_nowait(decode(text))

    status: dict[str, Any] = {"recording": {}, "message": None}
    (tmp_path / "token").write_text(unsigned_token(0, 10))
    async with serve(behaviour, "127.0.0.1", 0) as server, asyncio.timeout(10):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tokens = TokenStore(tmp_path / "token", None)
        room = StorageRoom(url, tokens, JID.parse("storage@studio.loc"), lambda: dict(status))
        peers = SpyPeers()
        room.peers = peers  # type: ignore[assignment]
        running = asyncio.create_task(room.run())
        try:
            yield Scene(room, peers, status, said, await sockets.get())
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_the_status_is_told_at_once_and_on_change(tmp_path: Path) -> None:
    async with scene(tmp_path, welcome()) as found:
        assert await found.said.get() == Status(fields={"recording": {}, "message": None})
        found.status["message"] = "the disk is full"
        loop = asyncio.get_running_loop()
        before = loop.time()
        changed = await found.said.get()
        assert isinstance(changed, Status)
        assert changed.fields["message"] == "the disk is full"
        assert loop.time() - before < 1
        assert found.peers.ice_servers == welcome().ice_servers


async def test_a_token_that_is_refused_may_mean_that_keys_were_changed(tmp_path: Path) -> None:
    def refuse(socket: ServerConnection, _request: Request) -> Response:
        return socket.respond(401, "")

    async def nobody(_socket: ServerConnection) -> None:
        raise AssertionError

    (tmp_path / "token").write_text(unsigned_token(0, 10))
    asked = asyncio.Event()
    async with (
        serve(nobody, "127.0.0.1", 0, process_request=refuse) as server,
        asyncio.timeout(10),
    ):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tokens = TokenStore(tmp_path / "token", None)
        room = StorageRoom(url, tokens, JID.parse("storage@studio.loc"), dict)
        room.on_tokens_changed = asked.set
        running = asyncio.create_task(room.run())
        await asked.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_calls_reach_the_peers_with_what_both_may_see(tmp_path: Path) -> None:
    async with scene(tmp_path, welcome()) as found:
        await found.hear(Connect(jid=VIEWER, name="o", role="user", location="studio"))
        ask = RequestMedia(to="storage@studio.loc", call="c1", kind="recordings", from_=VIEWER)
        await found.hear(RequestMedia(**{**_fields(ask), "locations": ("studio", "shop")}))
        await found.hear(AnswerMedia(to="s", call="c1", sdp="v=0", from_=VIEWER))
        await found.hear(EndMedia(to="s", call="c1", from_=VIEWER))
        gone = Disconnect(jid=VIEWER, name="o", role="user", location="studio")
        await found.hear(gone)
        while len(found.peers.calls) < 4:
            await asyncio.sleep(0.005)
        allowed = frozenset({"studio"})
        assert found.peers.calls == [(VIEWER, "c1", allowed, "user"), "v=0", "c1", VIEWER]


def _fields(message: RequestMedia) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


async def test_live_pictures_are_not_to_be_had_here(tmp_path: Path) -> None:
    async with scene(tmp_path, welcome()) as found:
        await found.said.get()
        await found.hear(RequestMedia(to="s", call="c1", kind="live", from_=VIEWER))
        while not isinstance(answer := await found.said.get(), EndMedia):
            pass
        assert (answer.to, answer.call) == (VIEWER, "c1")
        assert found.peers.calls == []


async def test_what_a_camera_holds_is_known_from_its_status(tmp_path: Path) -> None:
    spool = {"spool": {"bytes": 1, "seconds": 60.0}, "durable-until": format_utc(START_US)}
    camera = Peer(jid=CAMERA, name="c", role="device", location="studio", status=spool)
    async with scene(tmp_path, welcome(camera)) as found:
        while (held := found.room.on_device(PLACE)) is None:
            await asyncio.sleep(0.005)
        assert abs((held[1] - held[0]) - 60_000_000) < 1000 or held[0] == START_US
        for nonsense in ({"spool": 7}, {"spool": {"seconds": "many"}}, {}):
            await found.hear(Status(fields=nonsense, from_=CAMERA))
        await found.hear(Status(fields={"spool": {"seconds": 0.4}}, from_=CAMERA))
        while found.room.on_device(PLACE) is not None:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("host", "url"),
    [("192.0.2.2", "rtsps://192.0.2.2:8322"), ("fd00::2", "rtsps://[fd00::2]:8322")],
)
def test_what_a_status_says(host: str, url: str) -> None:
    fields = status_fields(
        address=(host, 8322),
        fingerprint="sha256:00",
        durable_us={PLACE.jid: START_US},
        sealed={PLACE.jid: "17-00"},
        size=7,
        maxspace=None,
        message=None,
    )
    assert fields == {
        "storage": {"url": url, "fingerprint": "sha256:00"},
        "recording": {PLACE.jid: {"durable-until": "2026-11-22T05:30:00.123456Z"}},
        "sealed": {PLACE.jid: "17-00"},
        "bytes": 7,
        "maxspace": None,
        "message": None,
    }


async def test_calls_of_who_does_not_come_back_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "GRACE_S", 0.5)
    stays = Peer(jid=VIEWER, name="o", role="user", location="studio")
    async with scene(tmp_path, welcome(stays)) as found:
        found.peers.viewers = [VIEWER, "gone@studio.loc/tab"]
        while found.peers.viewers != [VIEWER]:
            await asyncio.sleep(0.01)
        assert found.peers.calls == ["gone@studio.loc/tab"]


async def test_the_cameras_of_the_configuration_are_known_from_the_room(tmp_path: Path) -> None:
    async with scene(tmp_path, welcome()) as found:
        devices = (DeviceInfo(jid=PLACE.jid, name="c"),)
        place = LocationInfo(name="studio", title="S", timezone=None, storage=None, devices=devices)
        await found.hear(msgspec.structs.replace(welcome(), locations=(place,)))
        while found.room.is_listed("removed@studio.loc"):
            await asyncio.sleep(0.005)
        assert found.room.is_listed(PLACE.jid)
