import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from storage.helpers import PLACE, START_US, Store, opened, recorder
from ucam.base.times import format_utc
from ucam.protocol.messages import AnswerMedia, EndMedia, OfferMedia, RequestMedia
from ucam.storage.playback.answers import Answer, Endless, Request
from ucam.storage.playback.channel import HIGH_BYTES, MOST_IN_FLIGHT, PIECE_BYTES, Channel
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.library import Library
from ucam.storage.playback.peers import MOST_PEERS_OF_ONE, Peers, without_hidden_candidates

HERE = frozenset({"studio"})
VIEWER = "owner@shop.loc/page"
Said = asyncio.Queue[OfferMedia | EndMedia]


class FakeWire:
    """A channel that sends when it is told to."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.bufferedAmount = 0
        self.counts = False

    def send(self, data: str | bytes) -> None:
        self.sent.append(data)
        if self.counts:
            self.bufferedAmount += len(data)

    def heads(self) -> list[dict[str, Any]]:
        return [json.loads(data) for data in self.sent if isinstance(data, str)]

    def body(self, number: int) -> bytes:
        prefix = number.to_bytes(4)
        pieces = [data for data in self.sent if isinstance(data, bytes) and data[:4] == prefix]
        return b"".join(piece[4:] for piece in pieces)


def channel(wire: FakeWire, handle: Callable[[Request], Awaitable[Answer]]) -> Channel:
    return Channel(wire, handle, HERE, closed=lambda: False)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def ask(number: int, path: str = "/x", **more: Any) -> str:
    return json.dumps({"id": number, "path": path, **more})


async def test_head_then_pieces() -> None:
    async def handle(request: Request) -> Answer:
        assert request == Request("/chunks/12", HERE, "bytes=0-999")
        return Answer(206, {"a": "b"}, bytes(range(256)) * 300)

    wire = FakeWire()
    channel(wire, handle).message(ask(7, "/chunks/12", range="bytes=0-999"))
    await until(lambda: len(wire.body(7)) == 76_800)
    assert wire.heads() == [{"id": 7, "status": 206, "headers": {"a": "b"}, "length": 76_800}]
    assert wire.body(7) == bytes(range(256)) * 300
    assert all(len(data) <= PIECE_BYTES + 4 for data in wire.sent[1:])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"id": -1}', '{"id": 4294967296}', '{"id":"x"}', b"\0\0\0\1", "x" * 9999],
)
async def test_nonsense_is_dropped(text: str | bytes) -> None:
    async def handle(request: Request) -> Answer:
        raise AssertionError("not reached")

    wire = FakeWire()
    found = channel(wire, handle)
    found.message(text)
    await asyncio.sleep(0.01)
    assert wire.sent == []


async def test_what_waits_to_be_sent_is_bounded() -> None:
    async def handle(request: Request) -> Answer:
        return Answer(200, {}, bytes(4_000_000))

    wire = FakeWire()
    wire.counts = True
    found = channel(wire, handle)
    found.message(ask(1))
    await until(lambda: wire.bufferedAmount > HIGH_BYTES)
    await asyncio.sleep(0.02)
    assert wire.bufferedAmount <= HIGH_BYTES + PIECE_BYTES + 100
    while len(wire.body(1)) < 4_000_000:
        wire.bufferedAmount = 0
        found.drained()
        await asyncio.sleep(0.001)
        assert wire.bufferedAmount <= HIGH_BYTES + PIECE_BYTES + 100


async def test_an_aborted_answer_ends_and_others_go_on() -> None:
    async def handle(request: Request) -> Answer:
        return Answer(200, {}, bytes(2_000_000))

    wire = FakeWire()
    wire.counts = True
    called_off: list[bytes] = []
    found = Channel(wire, handle, HERE, closed=lambda: False, forget=called_off.append)
    found.message(ask(1))
    found.message(ask(2))
    await until(lambda: wire.bufferedAmount > HIGH_BYTES)
    found.message(json.dumps({"id": 1, "abort": True}))
    found.message(json.dumps({"id": 9, "abort": True}))
    assert called_off == [b"\0\0\0\1"], "what waits of it needn't leave"
    await asyncio.sleep(0.01)
    had = len(wire.body(1))
    wire.counts, wire.bufferedAmount = False, 0
    found.drained()
    await until(lambda: len(wire.body(2)) == 2_000_000)
    assert len(wire.body(1)) == had


async def test_too_many_requests_at_a_time() -> None:
    never = asyncio.Event()

    async def handle(request: Request) -> Answer:
        await never.wait()
        return Answer(200)

    wire = FakeWire()
    found = channel(wire, handle)
    for number in range(MOST_IN_FLIGHT + 1):
        found.message(ask(number))
    await until(lambda: bool(wire.heads()))
    assert [head["status"] for head in wire.heads()] == [429]
    await found.close()


# Against a second aiortc peer


class Viewer:
    """The page's side."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection()
        self.wire: asyncio.Future[RTCDataChannel] = asyncio.get_running_loop().create_future()
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.connection.on("datachannel", self._channel)

    def _channel(self, wire: RTCDataChannel) -> None:
        wire.on("message", self.messages.put_nowait)
        self.wire.set_result(wire)

    async def answer(self, offer: OfferMedia) -> AnswerMedia:
        assert offer.sdp is not None
        assert offer.call is not None
        assert "a=candidate" in offer.sdp, "a full description, with its candidates"
        await self.connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        sdp = self.connection.localDescription.sdp
        return AnswerMedia(to="storage", call=offer.call, sdp=sdp, from_=VIEWER)

    async def get(self, number: int, path: str) -> tuple[dict[str, Any], bytes]:
        (await self.wire).send(ask(number, path))
        head = json.loads(await self.messages.get())
        body = b""
        while len(body) < head["length"]:
            piece = await self.messages.get()
            assert isinstance(piece, bytes)
            assert piece[:4] == number.to_bytes(4)
            body += piece[4:]
        return head, body


@asynccontextmanager
async def served(
    store: Store,
) -> AsyncIterator[tuple[Peers, "asyncio.Queue[OfferMedia | EndMedia]"]]:
    said: asyncio.Queue[OfferMedia | EndMedia] = asyncio.Queue()
    library = Library(
        store.root,
        store.index,
        recorder(store),
        on_device=lambda _place: None,
        now_us=lambda: START_US + 60_000_000,
    )
    handler = Handler(library)
    async with asyncio.TaskGroup() as tasks:
        peers = Peers(handler, said.put_nowait, tasks)
        yield peers, said
        await peers.close()


def request(call: str = "c1", viewer: str = VIEWER) -> RequestMedia:
    return RequestMedia(to="storage", call=call, kind="recordings", from_=viewer)


async def test_a_viewer_gets_recordings_bit_for_bit(store: Store) -> None:
    store.record(50)
    async with served(store) as (peers, said), asyncio.timeout(20):
        viewer = Viewer()
        peers.request(request(), HERE)
        offer = await said.get()
        assert isinstance(offer, OfferMedia)
        assert (offer.to, offer.call) == (VIEWER, "c1")
        peers.answer(await viewer.answer(offer))
        wire = await viewer.wire
        assert (wire.label, wire.ordered, wire.maxRetransmits) == ("recordings", True, None)
        head, body = await viewer.get(1, "/cameras")
        assert head["status"] == 200
        assert json.loads(body)["cameras"][0]["jid"] == PLACE.jid
        head, body = await viewer.get(2, f"/chunks/{START_US}")
        assert body == store.files()[0].read_bytes()
        assert peers.viewers == [VIEWER]
        peers.end(EndMedia(to="storage", call="c1", from_=VIEWER))
        assert peers.viewers == []
        await viewer.connection.close()


async def test_people_protect_over_the_channel_players_only_look(store: Store) -> None:
    store.record(50)
    begin, end = format_utc(START_US), format_utc(START_US + 1_000_000)
    path = f"/cameras/{PLACE.jid}/protect?from={begin}&to={end}"
    for role, status in (("player", 403), ("user", 200)):
        async with served(store) as (peers, said), asyncio.timeout(20):
            viewer = Viewer()
            peers.request(request(), HERE, role)
            offer = await said.get()
            assert isinstance(offer, OfferMedia)
            peers.answer(await viewer.answer(offer))
            wire = await viewer.wire
            wire.send(ask(1, path, method="PUT"))
            head = json.loads(await viewer.messages.get())
            assert head["status"] == status
            content = json.loads((await viewer.messages.get())[4:])
            await viewer.connection.close()
    assert content["protected"][0]["by"] == "owner@shop.loc"


async def test_what_never_ends_is_for_https(store: Store) -> None:
    async def handle(_request: Request) -> Answer:
        async def blocks() -> AsyncIterator[bytes]:
            yield b"x"

        return Answer(200, {}, Endless(blocks()))

    wire = FakeWire()
    channel(wire, handle).message(ask(3, "/cameras/x/live.mp4"))
    await until(lambda: bool(wire.heads()))
    assert wire.heads()[0]["status"] == 400


async def test_who_leaves_the_room_loses_the_call(store: Store) -> None:
    async with served(store) as (peers, said), asyncio.timeout(20):
        viewer = Viewer()
        peers.request(request(), HERE)
        offer = await said.get()
        assert isinstance(offer, OfferMedia)
        peers.answer(await viewer.answer(offer))
        wire = await viewer.wire
        closed = asyncio.Event()
        wire.on("close", closed.set)
        peers.gone(VIEWER)
        assert peers.viewers == []
        await closed.wait()
        await viewer.connection.close()


async def test_places_are_bounded_and_freed(store: Store) -> None:
    async with served(store) as (peers, said), asyncio.timeout(20):
        for number in range(MOST_PEERS_OF_ONE + 1):
            peers.request(request(f"c{number}"), HERE)
        refused = await said.get()
        assert isinstance(refused, EndMedia)
        assert refused.reason == "all places are taken"
        for _ in range(MOST_PEERS_OF_ONE):
            assert isinstance(await said.get(), OfferMedia)
        peers.answer(AnswerMedia(to="storage", call="c0", sdp="nonsense", from_=VIEWER))
        ended = await said.get()
        assert isinstance(ended, EndMedia)
        assert ended.call == "c0"
        peers.request(request("c9"), HERE)
        assert isinstance(await said.get(), OfferMedia)


async def test_calls_of_others_are_out_of_reach(store: Store) -> None:
    async with served(store) as (peers, said), asyncio.timeout(20):
        peers.request(request(), HERE)
        assert isinstance(await said.get(), OfferMedia)
        peers.end(EndMedia(to="storage", call="c1", from_="stranger@shop.loc/x"))
        assert peers.viewers == [VIEWER]


def test_hidden_candidates_are_taken_out() -> None:
    kept = "a=candidate:1 1 udp 1 192.0.2.2 9 typ host"
    hidden = "a=candidate:2 1 udp 1 5b1c.local 9 typ host"
    assert without_hidden_candidates(f"v=0\r\n{kept}\r\n{hidden}\r\n") == f"v=0\r\n{kept}\r\n"


async def test_locations_decide(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        store.record(50)
        async with served(store) as (peers, said), asyncio.timeout(20):
            viewer = Viewer()
            peers.request(request(), frozenset())
            offer = await said.get()
            assert isinstance(offer, OfferMedia)
            peers.answer(await viewer.answer(offer))
            head, body = await viewer.get(1, "/cameras")
            assert json.loads(body) == {"cameras": []}
            head, _ = await viewer.get(2, f"/chunks/{START_US}")
            assert head["status"] == 404
            await viewer.connection.close()
