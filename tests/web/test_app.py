"""What stands on every answer, and the documents."""

from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ucam import __version__
from ucam.web.app import security_headers
from web.helpers import ANN, TOML, Running, running

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self' {socket}; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)


@pytest.mark.parametrize("path", ["/healthz", "/", "/nothing", "/schema", "/auth", "/ws"])
async def test_every_answer_has_the_headers(web: Running, path: str) -> None:
    headers = (await web.http.get(path)).headers
    socket = web.url.replace("http", "ws")
    assert headers["content-security-policy"] == POLICY.format(socket=socket)
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_https_stays_https() -> None:
    headers = dict(security_headers("https://cams.example.com:8443"))
    assert headers[b"strict-transport-security"] == b"max-age=31536000"
    assert b"connect-src 'self' wss://cams.example.com:8443;" in headers[b"content-security-policy"]


async def test_healthz(web: Running) -> None:
    answer = await web.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


async def test_refusals_have_one_shape(web: Running) -> None:
    for method, path, status, code in (
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/a/b/c/d", 404, "not-found"),
        ("GET", "/assets/../../etc/passwd", 404, "not-found"),
        ("PUT", "/auth", 405, "wrong-method"),
        ("POST", "/healthz", 405, "wrong-method"),
        ("HEAD", "/auth", 405, None),
    ):
        answer = await web.http.request(method, path)
        assert answer.status_code == status
        if code is not None:
            assert answer.json()["error"]["code"] == code


async def test_a_browser_that_went_astray_is_led_home(web: Running) -> None:
    answers = [
        await web.http.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
        for path in ("/nothing", "/a/b/c/d", "/index.php?x=<script>")
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert '<a href="/">' in answer.text
        assert answer.content == answers[0].content


async def test_head_is_get_without_its_body(web: Running) -> None:
    for path in ("/healthz", "/.well-known/jwks.json", "/schema", "/nothing", "/sessions", "/"):
        head, got = await web.http.head(path), await web.http.get(path)
        assert head.status_code == got.status_code, path
        assert head.content == b""
        for name in ("content-type", "content-length", "content-security-policy"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


async def test_a_refused_socket_has_the_headers_too(web: Running) -> None:
    for headers in ({}, {"Origin": "https://evil.example.com"}):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{web.url.replace('http', 'ws')}/ws", additional_headers=headers)
        answer = refused.value.response.headers
        assert answer["content-security-policy"] == POLICY.format(
            socket=web.url.replace("http", "ws")
        )
        assert answer["cache-control"] == "no-store"


async def test_metrics_are_for_this_machine(web: Running) -> None:
    await web.log_in(ANN)
    answer = await web.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'ucam_web_requests_total{method="POST",status="202"}' in answer.text
    assert 'ucam_web_events_total{what="login"}' in answer.text
    assert "ucam_web_sockets 0.0" in answer.text
    # Whoever comes through a proxy isn't here, though the proxy is.
    for headers in (
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "127.0.0.1"},
    ):
        hidden = await web.http.get("/metrics", headers=headers)
        absent = await web.http.get("/nothing")
        assert (hidden.status_code, hidden.content) == (404, absent.content)


async def test_metrics_behind_a_proxy_that_says_nothing(tmp_path: Path) -> None:
    text = TOML.replace("http://127.0.0.1:{port}", "https://cams.example.com")
    async with running(tmp_path, text) as web:
        assert (await web.http.get("/metrics")).status_code == 200
        proxied = await web.http.get("/metrics", headers={"Host": "cams.example.com"})
        assert proxied.status_code == 404


async def test_metrics_for_who_is_configured(tmp_path: Path) -> None:
    text = TOML.replace('data-dir = "data"', 'data-dir = "data"\nmetrics = ["192.0.2.0/24"]')
    async with running(tmp_path, text) as web:
        assert (await web.http.get("/metrics")).status_code == 404


async def test_the_documents_name_every_resource_and_load_nothing(web: Running) -> None:
    for path in ("/schema", "/schema/openapi.json"):
        document = (await web.http.get(path)).json()
        assert set(document["paths"]) == {
            *("/auth", "/enroll", "/sessions", "/sessions/{sid}", "/audit"),
            *("/invites", "/invites/{made}", "/playback", "/settings.json"),
            *("/healthz", "/metrics", "/.well-known/jwks.json"),
        }
        assert set(document["paths"]["/auth"]) == {"post", "delete"}
    for viewer in ("swagger", "redoc", "rapidoc", "elements", "scalar"):
        answer = await web.http.get(f"/schema/{viewer}")
        assert answer.status_code == 404
        assert "<script" not in answer.text
