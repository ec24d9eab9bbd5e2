"""Who may do what over HTTP and at `/ws`: a matrix of every route and everything that can be wrong
with a token.

The rows come from the application's own routes; one that has no policy here fails the test.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support.forged import control, forged
from ucam.protocol.messages import Chat
from ucam.web.page import VIEWS
from ucam.web.service import Web, open_state
from web.helpers import ANN, BOB, DISK, TILL, TOML, YARD, Running, load_config, running

CEM = "cem@example.com"
WITH_CEM = TOML.replace('"bob@example.com"]', '"bob@example.com", "cem@example.com"]')

# What a route asks for. "open": nothing, and it answers everybody alike; "local": nothing but the
# address; "person": the token of a person; "any": of anybody with a session; "code" and "link":
# a one-time secret in the body; "room": `/ws`.
POLICIES: dict[tuple[str, str], str] = {
    ("GET", "/healthz"): "open",
    ("GET", "/metrics"): "local",
    ("GET", "/schema"): "open",
    ("GET", "/schema/openapi.json"): "open",
    ("GET", "/.well-known/jwks.json"): "open",
    **{("GET", view.replace("{jid:str}", "{jid}")): "open" for view in VIEWS},
    ("GET", "/assets/{name}"): "open",
    ("GET", "/{name}"): "open",
    ("POST", "/auth"): "any",
    ("DELETE", "/auth"): "any",
    ("POST", "/enroll"): "code",
    ("GET", "/sessions"): "person",
    ("DELETE", "/sessions/{sid}"): "person",
    ("GET", "/audit"): "person",
    ("GET", "/settings.json"): "person",
    ("GET", "/invites"): "person",
    ("POST", "/invites"): "person",
    ("DELETE", "/invites/{made}"): "person",
    ("POST", "/playback"): "person",
    ("GET", "/ws"): "room",
}
FILLED = {"{jid}": YARD, "{name}": "nothing.js", "{sid}": "nothing", "{made}": "nothing"}


def rows(app: Litestar) -> set[tuple[str, str]]:
    """(method, path) of everything that the application answers; HEAD goes with GET, OPTIONS tells
    only what the others are."""
    found: set[tuple[str, str]] = set()
    for route in app.routes:
        methods = set(route.methods) if isinstance(route, HTTPRoute) else {"GET"}
        found |= {(str(method), route.path_format) for method in methods - {"OPTIONS", "HEAD"}}
    return found


async def test_every_route_has_a_policy_and_every_policy_a_route(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    state = open_state(config)
    web = Web(config, state, {}, 0)
    await state.close()
    app: Any = web.app
    while not isinstance(app, Litestar):
        app = app._app
    found = rows(app)
    # Litestar's own: 404 for viewers of the document, which we don't have.
    assert found - POLICIES.keys() <= {("GET", "/schema/{path}")}
    assert POLICIES.keys() - found == set()


@dataclass
class World:
    """A server that runs, and one token of each kind."""

    web: Running
    good: str
    """Of Ann, who may see everything."""
    device: str
    player: str
    storage: str
    wrong: dict[str, str] = field(default_factory=dict)
    """What opens nothing, by what is wrong with it."""

    def records(self) -> list[tuple[Any, ...]]:
        """Everything that is kept, to see that nothing has changed."""
        path = self.web.folder / "data" / "web.sqlite"
        with sqlite3.connect(path) as database:
            found = database.execute("SELECT * FROM records ORDER BY shelf, key").fetchall()
        database.close()
        return [row for row in found if row[0] != "devices"]

    async def ask(self, method: str, path: str, *tokens: str, **more: Any) -> httpx.Response:
        """One request with these tokens."""
        for name, value in FILLED.items():
            path = path.replace(name, value)
        headers = httpx.Headers([("Authorization", f"Bearer {token}") for token in tokens if token])
        return await self.web.http.request(method, path, headers=headers, **more)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with running(folder, WITH_CEM) as web:
        removed = await web.log_in(CEM)
        text = web.config_path.read_text()
        web.config_path.write_text(text.replace(f', "{CEM}"', ""))
        web.stop.reload()
        (file,) = (folder / "data").glob("signing-keys.json")
        jwk = json.loads(file.read_text())["current"]
        good = await web.log_in(ANN)
        device, player = web.device_token(TILL), web.device_token(TILL, "player")
        one = World(web, good, device, player, web.device_token(DISK, "storage"))
        # As if it were just issued: the forger signs as the application does.
        assert (await one.ask("GET", "/sessions", control(good, jwk))).status_code == 200
        unused, used = await web.link_token(ANN), await web.link_token(BOB)
        ended = (await web.http.post("/auth", json={"token": used})).json()["token"]
        await one.ask("DELETE", "/auth", ended)
        revoked = await web.log_in(ANN)
        listed = (await one.ask("GET", "/sessions", revoked)).json()["sessions"]
        (sid,) = [session["id"] for session in listed if session["this"]]
        assert (await one.ask("DELETE", f"/sessions/{sid}", good)).status_code == 204
        one.wrong = {
            **forged(good, jwk),
            "login token as session token": unused,
            "used one-time token": used,
            "ended session": ended,
            "revoked": revoked,
            "address removed": removed,
        }
        yield one


async def test_the_matrix_of_routes_and_tokens(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        cells = 0
        for (method, path), policy in POLICIES.items():
            if policy == "room":
                continue
            plain = await one.ask(method, path)
            before = one.records()
            for wrong, token in one.wrong.items():
                answer = await one.ask(method, path, token)
                cell, cells = f"{method} {path}, {wrong}", cells + 1
                if policy in ("open", "local", "code"):
                    # A token changes nothing where none is asked for, not even a wrong one.
                    assert answer.status_code == plain.status_code, cell
                    if path not in ("/metrics", "/.well-known/jwks.json"):
                        assert answer.content == plain.content, cell
                else:
                    assert answer.status_code == 401, cell
                    assert answer.headers["www-authenticate"] == "Bearer", cell
                    assert set(answer.json()["error"]) == {"code", "text"}, cell
                    assert not token or token not in answer.text, cell
            assert one.records() == before, f"{method} {path} changed something"
        assert cells == (len(POLICIES) - 1) * len(one.wrong)
        print(f"\n{cells} cells")
        # And all of it has cost the good one nothing.
        assert (await one.ask("GET", "/sessions", one.good)).status_code == 200


async def test_tokens_of_another_role(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        before = one.records()
        for (method, path), policy in POLICIES.items():
            if policy != "person":
                continue
            # A device's record begins when it first comes; that is all that may change.
            bodies = set()
            for token in (one.device, one.player, one.storage):
                answer = await one.ask(method, path, token)
                assert answer.status_code == 403, (method, path)
                bodies.add(answer.content)
            assert len(bodies) == 1
        known = {row[1] for row in before}
        assert [row for row in one.records() if row[1] in known] == before
        # A player's token is good for looking, at storages; it is never renewed.
        for method in ("POST",):
            assert (await one.ask(method, "/auth", one.player)).status_code == 401
        for token in (one.device, one.storage):
            assert (await one.ask("POST", "/auth", token)).status_code == 200


async def test_two_credentials_that_disagree(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        other = await one.web.log_in(BOB)
        before = one.records()
        for (method, path), policy in POLICIES.items():
            if policy not in ("any", "person"):
                continue
            for pair in ((one.good, other), (other, one.good), (one.good, "garbage")):
                answer = await one.ask(method, path, *pair)
                assert answer.status_code == 400, (method, path)
            same = await one.ask("GET", "/sessions", one.good, one.good)
            assert same.status_code == 200
        both = await one.ask("POST", "/auth", one.good, json={"token": "x"})
        assert both.status_code == 400
        assert one.records() == before


async def test_of_one_time_secrets_absent_used_and_foreign_look_alike(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        before = one.records()
        unused = one.wrong.pop("login token as session token")
        links = [
            await one.ask("POST", "/auth", json={"token": token}) for token in one.wrong.values()
        ]
        assert {(a.status_code, a.content) for a in links} == {(401, links[0].content)}
        guesses = [one.good, unused, *list(one.wrong.values())[:6]]
        codes = [await one.ask("POST", "/enroll", json={"code": guess}) for guess in guesses]
        assert {(a.status_code, a.content) for a in codes} == {(401, codes[0].content)}
        assert one.records() == before
        # Whoever holds the link still gets in.
        assert (await one.ask("POST", "/auth", json={"token": unused})).status_code == 200


async def test_absent_and_forbidden_are_one_answer(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        bob = await one.web.log_in(BOB)
        await one.ask("GET", "/sessions", bob)
        listed = (await one.ask("GET", "/sessions", one.good)).json()["sessions"]
        before = one.records()
        forbidden = await one.ask("DELETE", f"/sessions/{listed[0]['id']}", bob)
        absent = await one.ask("DELETE", "/sessions/nothing", bob)
        assert (forbidden.status_code, forbidden.content) == (404, absent.content)
        headers = [{n: v for n, v in a.headers.items() if n != "date"} for a in (forbidden, absent)]
        assert headers[0] == headers[1]
        assert one.records() == before
        # A person without the location reads nothing of it.
        entries = (await one.ask("GET", "/audit", bob)).json()["entries"]
        assert entries
        assert all("home" not in entry.get("locations", ()) for entry in entries)


async def refused(url: str, headers: dict[str, str]) -> int:
    """The status, or for browsers the close code, that a handshake is refused with."""
    try:
        socket = await connect(url, additional_headers=headers)
    except InvalidStatus as error:
        return error.response.status_code
    async with socket:
        try:
            await socket.recv()
        except ConnectionClosed:
            return socket.close_code or 0
    pytest.fail("it was let in")


async def test_the_matrix_of_the_rooms_door(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        url = one.web.url.replace("http", "ws", 1) + "/ws"
        async with one.web.room(one.good) as watcher:
            before = one.records()
            for wrong, token in one.wrong.items():
                bearer = {"Authorization": f"Bearer {token}"}
                assert await refused(url, bearer) == 401, wrong
                assert await refused(f"{url}?auth={token}", {}) == 401, wrong
                browser = {"Origin": one.web.url}
                assert await refused(f"{url}?auth={token}", browser) == 4401, wrong
                protocol = {**browser, "Sec-WebSocket-Protocol": f"ucam, bearer.{token or 'x'}"}
                assert await refused(url, protocol) in (4401, 400), wrong
            evil = {"Authorization": f"Bearer {one.good}", "Origin": "https://evil.example.com"}
            assert await refused(url, evil) == 403
            good = {"Authorization": f"Bearer {one.good}"}
            assert await refused(f"{url}?auth={one.device}", good) == 400
            assert await refused(f"{url}?auth={one.good}&auth={one.device}", {}) == 400
            assert one.records() == before
            # Of all of them nobody in the room has heard.
            await watcher.say(Chat(text="quiet?"))
            async with asyncio.timeout(20):
                heard = await watcher.hear()
            assert isinstance(heard, Chat), heard
