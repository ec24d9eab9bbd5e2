"""`/ws`, on a server that runs."""

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from ucam.base.tokens import Claims
from ucam.protocol.messages import (
    AnswerMedia,
    Chat,
    Connect,
    Disconnect,
    Error,
    IceCandidate,
    OfferMedia,
    RequestMedia,
    Status,
    Welcome,
    encode,
)
from ucam.web.auth import Authority
from ucam.web.clients import Client
from ucam.web.handshake import same_origin
from ucam.web.members import CLOSE_LOGIN_AGAIN, CLOSE_NO_ACCESS, CLOSE_REPLACED, CLOSE_TOO_SLOW
from ucam.web.room import Room
from ucam.web.sockets import MAX_WAITING_MESSAGES, Sockets
from web.helpers import (
    ANN,
    BOB,
    DISK,
    NOW_S,
    TILL,
    TOML,
    YARD,
    Running,
    Visitor,
    access,
    running,
    who,
)

SHORT_LIVES = TOML.replace("[smtp]", 'token-validity = "5s"\n[smtp]').replace(
    "[locations.home]", '[deviceauth]\ntoken-validity = "5s"\n[locations.home]'
)


async def refused(web: Running, query: str = "", **more: object) -> tuple[int, str]:
    """Status and body of the refused handshake."""
    with pytest.raises(InvalidStatus) as error:
        async with connect(f"{web.url.replace('http', 'ws')}/ws?{query}", **more):  # type: ignore[arg-type]
            pass
    answer = error.value.response
    return answer.status_code, bytes(answer.body or b"").decode()


async def test_a_live_call_is_signaled(web: Running) -> None:
    query = "name=Front%20door&capabilities=live,h264&resource=cam"
    async with web.room(web.device_token(TILL), query) as camera:
        assert camera.jid == f"{TILL}/cam"
        await camera.say(OfferMedia(sdp="v=0 tracks"))
        async with web.room(await web.log_in(BOB), "resource=tab") as viewer:
            (peer,) = viewer.welcome.roster
            assert (peer.jid, peer.name, peer.role) == (f"{TILL}/cam", "Front door", "device")
            assert (peer.capabilities, peer.ready) == (("live", "h264"), True)
            assert await viewer.hear() == OfferMedia(sdp="v=0 tracks", from_=f"{TILL}/cam")
            come = await camera.hear()
            assert isinstance(come, Connect)
            assert come.jid == f"{BOB}/tab"
            await viewer.say(RequestMedia(to=TILL, call="1", kind="live"))
            assert await camera.hear() == RequestMedia(
                to=f"{TILL}/cam", call="1", kind="live", from_=f"{BOB}/tab", locations=("shop",)
            )
            candidate = IceCandidate(candidate="candidate:1", sdp_mid="0", sdp_m_line_index=0)
            offer = OfferMedia(to=f"{BOB}/tab", call="1", sdp="v=0")
            await camera.say(offer)
            await camera.say(OfferMedia(to=f"{BOB}/tab", call="1", ice=candidate))
            assert getattr(await viewer.hear(), "sdp", None) == "v=0"
            assert getattr(await viewer.hear(), "ice", None) == candidate
            await viewer.say(AnswerMedia(to=f"{TILL}/cam", call="1", sdp="v=0 answer"))
            assert getattr(await camera.hear(), "sdp", None) == "v=0 answer"
        assert isinstance(await camera.hear(), Disconnect)


async def test_wrong_tokens_get_401(web: Running) -> None:
    assert (await refused(web))[0] == 401
    status, body = await refused(web, "auth=eyJhbGciOiJub25lIn0.e30.")
    assert status == 401
    assert "eyJ" not in body
    headers = {"Authorization": "Bearer " + web.device_token(TILL)[:-3]}
    assert (await refused(web, additional_headers=headers))[0] == 401


async def test_a_browser_learns_by_the_close_code(web: Running) -> None:
    url = f"{web.url.replace('http', 'ws')}/ws?auth=wrong"
    async with connect(url, origin=web.url) as socket:  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == CLOSE_LOGIN_AGAIN


async def test_other_sites_pages_get_nothing(web: Running) -> None:
    token = await web.log_in(ANN)
    for origin in ("https://evil.example", "null", web.url + "0", web.url.replace("http", "https")):
        assert (await refused(web, f"auth={token}", origin=origin))[0] == 403
    async with web.room(token, origin=web.url):
        pass


@pytest.mark.parametrize(
    ("origin", "public_url", "same"),
    [
        ("https://cams.example.com", "https://cams.example.com", True),
        ("https://cams.example.com:443", "https://cams.example.com", True),
        ("https://CAMS.example.com", "https://cams.example.com", True),
        ("http://cams.example.com", "https://cams.example.com", False),
        ("https://cams.example.com.evil.net", "https://cams.example.com", False),
        ("https://cams.example.com:8443", "https://cams.example.com", False),
        ("https://cams.example.com:x", "https://cams.example.com", False),
        ("file://", "https://cams.example.com", False),
        ("", "https://cams.example.com", False),
    ],
)
def test_origins(origin: str, public_url: str, same: bool) -> None:
    assert same_origin(origin, public_url) is same


async def test_what_a_newcomer_says_of_itself_is_limited(web: Running) -> None:
    headers = {"Authorization": f"Bearer {web.device_token(TILL)}"}
    for query in (
        "resource=a/b",
        "resource=" + "x" * 70,
        "capabilities=" + ",".join("abcdefghij" * 2),
        "&".join("x=1" for _ in range(30)),
    ):
        assert (await refused(web, query, additional_headers=headers))[0] == 400
    ann = await web.log_in(ANN)
    async with (
        web.room(web.device_token(TILL), "name=%00%1bA%0A" + "n" * 200),
        web.room(ann) as viewer,
    ):
        assert viewer.welcome.roster[0].name == "A" + "n" * 63


async def test_plain_http_is_told_what_this_is(web: Running) -> None:
    answer = await web.http.get("/ws")
    assert (answer.status_code, answer.text) == (426, "this address speaks WebSocket")


async def test_a_devices_newer_connection_replaces_the_older(web: Running) -> None:
    token = web.device_token(TILL)
    async with web.room(token) as old, web.room(token) as new:
        assert await old.close_code() == CLOSE_REPLACED
        await new.say(Status(fields={"recording": "stored"}))
        async with web.room(await web.log_in(BOB)) as viewer:
            assert [p.status for p in viewer.welcome.roster] == [{"recording": "stored"}]


async def test_nonsense_is_answered_and_survived(web: Running) -> None:
    async with web.room(await web.log_in(ANN)) as ann:
        await ann.socket.send("{")
        await ann.socket.send("x" * 70_000)
        await ann.socket.send('{"type":"Chat","text":"still here"}')
        first, second, third = [await ann.hear() for _ in range(3)]
        assert isinstance(first, Error)
        assert isinstance(second, Error)
        assert (first.code, second.code) == ("bad-message", "too-large")
        assert isinstance(third, Chat)
        await ann.socket.send(b"binary")
        assert await ann.close_code() == 1003
    async with web.room(await web.log_in(ANN)) as ann:
        with contextlib.suppress(ConnectionClosed):
            await ann.socket.send("x" * 300_000)
        assert await ann.close_code() == 1009


async def test_logging_out_closes_that_sessions_sockets(web: Running) -> None:
    phone, laptop = await web.log_in(ANN), await web.log_in(ANN)
    async with web.room(phone) as one, web.room(phone) as two, web.room(laptop) as other:
        await web.http.delete("/auth", headers={"Authorization": f"Bearer {phone}"})
        assert await one.close_code() == CLOSE_LOGIN_AGAIN
        assert await two.close_code() == CLOSE_LOGIN_AGAIN
        await other.say(Chat(text="still here"))
        while not isinstance(await other.hear(), Chat):
            pass
    with pytest.raises(InvalidStatus):
        async with web.room(phone):
            pass


async def test_reuse_of_an_old_token_closes_the_sockets(web: Running) -> None:
    first = await web.log_in(ANN)
    second = (await web.recycle(first)).json()["token"]
    async with web.room(second) as ann:
        await web.recycle(second)
        await web.recycle(first)
        assert await ann.close_code() == CLOSE_LOGIN_AGAIN


async def test_a_socket_lives_as_long_as_its_session(tmp_path: Path) -> None:
    """Tokens live 5 s here. One device recycles over HTTP and keeps the room, one doesn't."""
    async with running(tmp_path, SHORT_LIVES) as web:
        keeps, loses = web.device_token(TILL), web.device_token(YARD)
        async with web.room(keeps) as keeper, web.room(loses) as loser:

            async def recycle() -> str:
                token = keeps
                while True:
                    await asyncio.sleep(0.8)
                    token = (await web.recycle(token)).json()["token"]

            recycling = asyncio.ensure_future(recycle())
            assert await loser.close_code() == CLOSE_LOGIN_AGAIN
            await asyncio.sleep(1.5)  # past the first token's end, and a round of looking
            await keeper.say(Chat(text="still here"))
            assert isinstance(await keeper.hear(), Chat)
            recycling.cancel()
            assert await keeper.close_code() == CLOSE_LOGIN_AGAIN


async def test_a_reload_takes_access_away_from_open_sockets(web: Running) -> None:
    ann, bob = await web.log_in(ANN), await web.log_in(BOB)
    till, yard = web.device_token(TILL), web.device_token(YARD)
    async with (
        web.room(ann) as a,
        web.room(bob) as b,
        web.room(till) as t,
        web.room(yard) as y,
    ):
        text = web.config_path.read_text()
        without = re.sub(r', "bob@example\.com"', "", text).replace('"till@shop.loc"', "")
        web.config_path.write_text(without)
        web.stop.reload()
        assert await b.close_code() == CLOSE_NO_ACCESS
        assert await t.close_code() == CLOSE_NO_ACCESS
        assert (await web.recycle(bob)).status_code == 401
        assert (await web.recycle(till)).status_code == 401
        for token in (bob, till):
            with pytest.raises(InvalidStatus):
                async with web.room(token):
                    pass
        left: set[str] = set()
        while len(left) < 2:
            message = await a.hear()
            if isinstance(message, Disconnect):
                left.add(message.jid.partition("/")[0])
        assert left == {BOB, TILL}
        await y.say(Status(fields={}))
        # A broken file changes nothing.
        web.config_path.write_text(
            text.replace("[locations.home]", "[locations.home]\nnonsense = 1")
        )
        web.stop.reload()
        with pytest.raises(InvalidStatus):
            async with web.room(bob):
                pass
        web.config_path.write_text(text)
        web.stop.reload()
        async with web.room(bob), web.room(till):
            pass


class Wire:
    """One side of ASGI: what the application sends, taken or not."""

    def __init__(self, *, deaf: bool) -> None:
        self.sent: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self._deaf = deaf
        self._connected = False

    async def receive(self) -> dict[str, Any]:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self.ended.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: dict[str, Any]) -> None:
        if self._deaf and message["type"] == "websocket.send":
            await asyncio.Event().wait()
        self.sent.append(message)

    def run(self, sockets: Sockets, who: str, address: str = "") -> "asyncio.Future[None]":
        query = f"auth={who}".encode()
        scope = {
            "type": "websocket",
            "headers": [],
            "query_string": query,
            "client": (address, 1),
        }
        return asyncio.ensure_future(sockets(scope, self.receive, self.send))  # type: ignore[arg-type]


async def arrive() -> int:
    return 1


class Trusting(Authority):
    """Takes an address for a token."""

    def __init__(self) -> None:
        pass

    async def enter(self, token: str, client: Client) -> Claims:
        return Claims(
            iss="", aud="", sub=token, role="user", loc=(), jti=token, iat=0, exp=2_000_000_000
        )


async def test_who_takes_no_messages_is_disconnected_and_nobody_waits(tmp_path: Path) -> None:
    room = Room(access(tmp_path))
    sockets = Sockets(room, "http://127.0.0.1", arrive)
    sockets.authority = Trusting()
    deaf, hearing = Wire(deaf=True), Wire(deaf=False)
    ends = [deaf.run(sockets, ANN), hearing.run(sockets, BOB)]
    await asyncio.sleep(0.05)  # both are in the room
    sockets.apply(room.connect(1000, who(f"{DISK}/d", "storage"), NOW_S))
    for number in range(MAX_WAITING_MESSAGES + 10):
        sockets.apply(room.receive(1000, Status(fields={"number": number}), NOW_S))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await ends[0]
    assert deaf.sent[-1]["type"] == "websocket.close"
    assert deaf.sent[-1]["code"] == CLOSE_TOO_SLOW
    for _ in range(MAX_WAITING_MESSAGES):
        await asyncio.sleep(0)  # all that waits gets out
    heard = [json.loads(m["text"]) for m in hearing.sent if m["type"] == "websocket.send"]
    numbers = [m["number"] for m in heard if m["type"] == "Status"]
    assert numbers == list(range(MAX_WAITING_MESSAGES + 10))
    (gone,) = [m for m in heard if m["type"] == "Disconnect"]
    assert gone["jid"].startswith(ANN)
    hearing.ended.set()
    await ends[1]


async def test_a_fault_of_ours_is_logged_and_ends_that_connection_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(access(tmp_path))
    sockets = Sockets(room, "http://127.0.0.1", arrive)
    sockets.authority = Trusting()
    other = Wire(deaf=False)
    end = other.run(sockets, BOB)
    await asyncio.sleep(0.05)  # Bob is in the room

    def broken(*_: object) -> None:
        raise RuntimeError("of ours")

    with monkeypatch.context() as patch:
        patch.setattr(room, "connect", broken)
        wire = Wire(deaf=False)
        await wire.run(sockets, ANN)
    assert (wire.sent[-1]["type"], wire.sent[-1]["code"]) == ("websocket.close", 1011)
    assert "of ours" not in wire.sent[-1]["reason"]
    assert "RuntimeError: of ours" in caplog.text
    assert not end.done()
    other.ended.set()
    await end


async def test_the_server_says_goodbye_when_it_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as web:
        token = web.device_token(TILL)
        ended: asyncio.Future[int | None]
        async with web.room(token, "name=Till") as till:
            ended = asyncio.ensure_future(till.close_code())
            await asyncio.sleep(0)
            web.stop.set()
            assert await ended == 1012
    async with running(tmp_path) as web, web.room(await web.log_in(ANN)) as ann:
        # What was known of devices is known after the restart.
        (device,) = ann.welcome.locations[1].devices
        assert device.name == "Till"
        assert device.last_seen is not None


async def test_many_sockets_and_one_storm(web: Running) -> None:
    """Fifty viewers hear a hundred messages each, in order."""
    token = await web.log_in(BOB)
    async with contextlib.AsyncExitStack() as stack:
        camera = await stack.enter_async_context(web.room(web.device_token(TILL)))
        viewers = [await stack.enter_async_context(web.room(token)) for _ in range(50)]
        for number in range(100):
            await camera.socket.send(encode(Status(fields={"number": number})))

        async def numbers(index: int) -> list[int]:
            heard: list[int] = []
            async with asyncio.timeout(20):
                async for text in viewers[index].socket:
                    message = json.loads(text)
                    if message["type"] == "Status":
                        heard.append(message["number"])
                    if len(heard) == 100:
                        break
            return heard

        results = await asyncio.gather(*(numbers(index) for index in range(50)))
        assert all(result == list(range(100)) for result in results)


async def test_a_page_may_show_its_token_beside_the_protocol(web: Running) -> None:
    token = await web.log_in(BOB)
    url = f"{web.url.replace('http', 'ws', 1)}/ws"
    offered: Any = ["ucam", f"bearer.{token}"]
    async with connect(url, subprotocols=offered, origin=Origin(web.url)) as socket:
        assert socket.subprotocol == "ucam"  # and not the token again
        assert isinstance(await Visitor(socket).hear(), Welcome)
    offered = ["ucam", "bearer.nonsense"]
    async with connect(url, subprotocols=offered, origin=Origin(web.url)) as socket:
        assert await Visitor(socket).close_code() == CLOSE_LOGIN_AGAIN


async def test_two_tokens_that_differ_are_one_too_many(web: Running) -> None:
    bob, till = await web.log_in(BOB), web.device_token(TILL)
    url = f"{web.url.replace('http', 'ws', 1)}/ws"
    headers = {"Authorization": f"Bearer {bob}"}
    offered: Any = [f"bearer.{till}"]
    for query, protocols in ((f"?auth={till}", None), ("", offered)):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url + query, additional_headers=headers, subprotocols=protocols):
                pass
        assert refused.value.response.status_code == 400
    # The same one twice is one.
    async with connect(f"{url}?auth={bob}", additional_headers=headers):
        pass


@pytest.mark.parametrize(("address", "admitted"), [("192.0.2.7", 2), ("127.0.0.1", 8)])
async def test_an_address_takes_only_its_share(tmp_path: Path, address: str, admitted: int) -> None:
    sockets = Sockets(Room(access(tmp_path)), "http://127.0.0.1", arrive, max_sockets=8)
    sockets.authority = Trusting()
    wires = [Wire(deaf=False) for _ in range(9)]
    ends = [wire.run(sockets, ANN, address) for wire in wires]
    other = Wire(deaf=False)
    async with asyncio.timeout(5):
        while sum(bool(wire.sent) for wire in wires) < len(wires):
            await asyncio.sleep(0.005)
    accepted = [w for w in wires if w.sent[0]["type"] == "websocket.accept"]
    assert len(accepted) == admitted
    refused = next(w for w in wires if w not in accepted)
    assert refused.sent[0]["status"] == 503
    ends.append(other.run(sockets, BOB, "192.0.2.8"))
    for wire in (*wires, other):
        wire.ended.set()
    await asyncio.gather(*ends)
    assert sockets.count == 0
    # Whoever has gone leaves a place.
    last = Wire(deaf=False)
    last.ended.set()
    await last.run(sockets, ANN, address)
    assert last.sent[0]["type"] == "websocket.accept"


async def test_who_comes_while_the_state_is_away_is_told_to_come_later(tmp_path: Path) -> None:
    sockets = Sockets(Room(access(tmp_path)), "http://127.0.0.1", arrive)
    sockets.authority = Trusting()
    sockets.cut()
    wire = Wire(deaf=False)
    await wire.run(sockets, ANN)
    assert wire.sent[0]["status"] == 503
    sockets.joined()
    wire = Wire(deaf=False)
    wire.ended.set()
    await wire.run(sockets, ANN)
    assert wire.sent[0]["type"] == "websocket.accept"
