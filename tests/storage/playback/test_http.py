import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from storage.helpers import ISSUER, PLACE, START_US, Store, Tokens, recorder
from ucam.base.service import Fault
from ucam.base.units import Listen
from ucam.storage import tls
from ucam.storage.access import access_by_file
from ucam.storage.playback.answers import Answer, Endless, Request
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.http import HttpApi, HttpServer
from ucam.storage.playback.library import Library

VIEWER = "owner@shop.loc"
ORIGIN = "https://cams.shop.loc"


@pytest.fixture
def made(store: Store, tokens: Tokens, tmp_path: Path) -> Callable[[str], HttpServer]:
    store.record(50)
    library = Library(
        store.root,
        store.index,
        recorder(store),
        on_device=lambda _place: None,
        now_us=lambda: START_US + 60_000_000,
    )
    handler = Handler(library)
    access = access_by_file(tokens.keys_file, ISSUER, lambda: ("studio",))
    context = tls.server_context(*tls.ensure_certificate(tmp_path, "studio.loc"))
    return lambda listen: HttpServer(
        HttpApi(handler, access, f"{ORIGIN}/"), Listen(listen), context
    )


@pytest.fixture
async def client(
    made: Callable[[str], HttpServer], tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    server = made("127.0.0.1:0")
    running = asyncio.create_task(server.run())
    while server.port is None:
        await asyncio.sleep(0.005)
    context = ssl.create_default_context(cafile=tmp_path / tls.CERT_NAME)
    context.check_hostname = False
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{server.port}", verify=context
    ) as found:
        yield found
    server.stop()
    await running
    assert server.port is None


async def test_pages_of_the_web_application_may_read(
    client: httpx.AsyncClient, tokens: Tokens
) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Origin": ORIGIN}
    allowed = await client.options("/cameras", headers=asked)
    assert (allowed.status_code, allowed.content) == (204, b"")
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert allowed.headers["access-control-allow-headers"] == "authorization, range"
    assert allowed.headers["access-control-allow-private-network"] == "true"
    bearer = {"Authorization": f"Bearer {tokens.issue(VIEWER, 'player')}"}
    for path, status in (("/cameras", 200), ("/nothing", 404)):
        answer = await client.get(path, headers={**bearer, "Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "content-range" in answer.headers["access-control-expose-headers"]
    for origin in ("https://evil.example.com", "null", f"{ORIGIN}.evil.example.com"):
        headers = {**asked, "Origin": origin}
        for answer in (
            await client.options("/cameras", headers=headers),
            await client.get("/cameras", headers={**bearer, "Origin": origin}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["vary"] == "origin"
    assert (await client.options("/cameras")).status_code == 405


async def test_with_a_token_by_header_or_query(
    client: httpx.AsyncClient, tokens: Tokens, store: Store
) -> None:
    token = tokens.issue(VIEWER, "user")
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await client.get("/cameras", headers=bearer)
    assert answer.status_code == 200
    assert json.loads(answer.content)["cameras"][0]["jid"] == PLACE.jid
    whole = store.files()[0].read_bytes()
    answer = await client.get(f"/chunks/{START_US}?token={tokens.issue(VIEWER, 'player')}")
    assert answer.content == whole
    answer = await client.get(f"/chunks/{START_US}", headers={**bearer, "Range": "bytes=100-299"})
    assert answer.status_code == 206
    assert answer.content == whole[100:300]
    assert answer.headers["content-range"] == f"bytes 100-299/{len(whole)}"
    etag = answer.headers["etag"]
    known = await client.get(f"/chunks/{START_US}", headers={**bearer, "If-None-Match": etag})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    resumed = {**bearer, "Range": "bytes=100-", "If-Range": etag}
    answer = await client.get(f"/chunks/{START_US}", headers=resumed)
    assert (answer.status_code, answer.content) == (206, whole[100:])
    answer = await client.get(f"/chunks/{START_US}", headers={**resumed, "If-Range": '"other"'})
    assert (answer.status_code, answer.content) == (200, whole)
    head = await client.head(f"/chunks/{START_US}", headers=bearer)
    assert head.headers["content-length"] == str(len(whole))
    assert head.content == b""


async def test_without_one_nothing_is_told(client: httpx.AsyncClient, tokens: Tokens) -> None:
    for path in ("/cameras", f"/chunks/{START_US}", "/nothing"):
        answer = await client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    device = {"Authorization": f"Bearer {tokens.issue(PLACE.jid)}"}
    assert (await client.get("/cameras", headers=device)).status_code == 403


async def test_recordings_can_not_be_changed(client: httpx.AsyncClient, tokens: Tokens) -> None:
    bearer = {"Authorization": f"Bearer {tokens.issue(VIEWER, 'user')}"}
    assert (await client.post("/cameras", headers=bearer)).status_code == 405
    assert (await client.delete(f"/chunks/{START_US}")).status_code == 401
    assert (await client.delete(f"/chunks/{START_US}", headers=bearer)).status_code == 405


async def test_an_address_that_can_not_be_had(made: Callable[[str], HttpServer]) -> None:
    with pytest.raises(Fault, match="192.0.2.77"):
        await made("192.0.2.77:1").run()


async def test_metrics_for_prometheus(
    client: httpx.AsyncClient, tokens: Tokens, store: Store
) -> None:
    assert (await client.get("/metrics")).status_code == 401
    token = tokens.issue(VIEWER, "player")
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {
        sample.name: sample
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["ucam_storage_camera_bytes"].value == store.files()[0].stat().st_size
    assert found["ucam_storage_camera_bytes"].labels == {
        "camera": PLACE.jid,
        "location": PLACE.location,
    }
    assert found["ucam_storage_fragments_total"].value >= 2
    assert found["ucam_storage_sync_seconds_count"].value >= 2
    assert found["ucam_storage_bytes"].value == store.space.total
    names = ("frames_total", "faults_total", "streams", "days_left", "trouble")
    assert all(f"ucam_storage_{name}" in found for name in names)
    elsewhere = tokens.issue(VIEWER, "player", loc=("shop",))
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {elsewhere}"})
    assert PLACE.jid not in answer.text


async def test_who_goes_away_is_read_nothing_more(tokens: Tokens) -> None:
    """A gigabyte is promised; the client leaves after the first block."""

    class Huge:
        length = 1 << 30
        read_bytes = 0
        closed = False

        def read(self, _position: int, size: int) -> bytes:
            self.read_bytes += size
            return bytes(size)

        def close(self) -> None:
            self.closed = True

    class Only:
        def __init__(self, body: Huge) -> None:
            self.body = body

        async def handle(self, _request: Request) -> Answer:
            return Answer(200, {}, self.body)

    huge = Huge()
    left = asyncio.Event()
    access = access_by_file(tokens.keys_file, ISSUER, lambda: ("studio",))
    api = HttpApi(Only(huge), access)  # type: ignore[arg-type]
    bearer = f"Bearer {tokens.issue(VIEWER, 'user')}".encode()
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": [(b"authorization", bearer)],
    }

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message.get("body"):
            left.set()
        await asyncio.sleep(0)

    await api(scope, receive, send)
    assert huge.closed
    assert huge.read_bytes < 16 << 20


async def test_a_stream_ends_with_its_token(tokens: Tokens) -> None:
    class Stream:
        async def handle(self, _request: Request) -> Answer:
            async def blocks() -> AsyncIterator[bytes]:
                while True:
                    yield b"x"
                    await asyncio.sleep(0.01)

            return Answer(200, {}, Endless(blocks()))

    access = access_by_file(tokens.keys_file, ISSUER, lambda: ("studio",))
    api = HttpApi(Stream(), access)  # type: ignore[arg-type]
    token = tokens.issue(VIEWER, "player", life_s=2)
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/x",
        "query_string": f"token={token}".encode(),
        "headers": [],
    }
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await api(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 200
    assert b"content-length" not in dict(sent[0]["headers"])
    assert len(sent) > 10
    assert sent[-1]["body"] == b""
