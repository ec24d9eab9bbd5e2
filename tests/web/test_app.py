"""What stands on every answer, and the documents."""

import pytest

from ucam import __version__
from ucam.web.app import security_headers
from web.helpers import Running

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
        ("PUT", "/auth", 405, "wrong-method"),
        ("POST", "/healthz", 405, "wrong-method"),
    ):
        answer = await web.http.request(method, path)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == code


async def test_the_documents_name_every_resource_and_load_nothing(web: Running) -> None:
    for path in ("/schema", "/schema/openapi.json"):
        document = (await web.http.get(path)).json()
        assert set(document["paths"]) == {"/auth", "/healthz", "/.well-known/jwks.json"}
        assert set(document["paths"]["/auth"]) == {"post", "delete"}
    for viewer in ("swagger", "redoc", "rapidoc", "elements", "scalar"):
        answer = await web.http.get(f"/schema/{viewer}")
        assert answer.status_code == 404
        assert "<script" not in answer.text
