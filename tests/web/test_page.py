import os
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient

from ucam.web.page import Page, routes

POLICY = "default-src 'none'"


def build(folder: Path, text: str = "<!doctype html>one") -> Path:
    """What the page's build leaves."""
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(text)
    (folder / "assets" / "index-BqX0_a-9.js").write_text("let a = 1;" * 100)
    (folder / "assets" / "icon.svg").write_text("<svg/>")
    (folder / "assets" / "manifest.webmanifest").write_text("{}")
    (folder / "assets" / "figtree-abcdefgh.woff2").write_bytes(b"\x00\x01")
    (folder / "robots.txt").write_text("User-agent: *\nDisallow: /\n")
    return folder


def client(page: Page) -> AsyncTestClient:  # type: ignore[type-arg]
    from litestar import Litestar

    return AsyncTestClient(
        Litestar(routes(page, lambda: POLICY), openapi_config=None, logging_config=None)
    )


async def test_every_view_is_the_page(tmp_path: Path) -> None:
    async with client(Page(build(tmp_path))) as http:
        for view in (
            "/",
            "/login",
            "/camera/yard@home.loc",
            "/recordings",
            "/health",
            "/room",
            "/settings",
        ):
            answer = await http.get(view)
            assert (answer.status_code, answer.text) == (200, "<!doctype html>one")
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-security-policy"] == POLICY
        assert (await http.get("/elsewhere")).status_code == 404


async def test_assets_keep_for_as_long_as_they_stay_the_same(tmp_path: Path) -> None:
    async with client(Page(build(tmp_path))) as http:
        script = await http.get("/assets/index-BqX0_a-9.js")
        assert script.text == "let a = 1;" * 100
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert script.headers["content-encoding"] == "gzip"
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
        icon = await http.get("/assets/icon.svg")
        assert icon.headers["cache-control"] == "public, max-age=3600"
        manifest = await http.get("/assets/manifest.webmanifest")
        assert manifest.headers["content-type"] == "application/manifest+json"
        font = await http.get("/assets/figtree-abcdefgh.woff2")
        assert font.content == b"\x00\x01"
        assert "content-encoding" not in font.headers
        assert (await http.get("/robots.txt")).text.startswith("User-agent")


async def test_without_gzip(tmp_path: Path) -> None:
    async with client(Page(build(tmp_path))) as http:
        plain = await http.get("/", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/assets/../../secret", "/assets/%2e%2e/%2e%2e/secret", "/assets//etc/passwd"],
)
async def test_nothing_outside_is_served(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("north")
    async with client(Page(build(tmp_path / "page"))) as http:
        answer = await http.get(path)
        assert answer.status_code == 404
        assert "north" not in answer.text


async def test_a_page_that_is_not_built_says_how(tmp_path: Path) -> None:
    page = Page(tmp_path / "page")
    async with client(page) as http:
        answer = await http.get("/login")
        assert answer.status_code == 503
        assert "make page" in answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        assert (await http.get("/assets/index.js")).status_code == 404
        build(tmp_path / "page")
        assert (await http.get("/login")).text == "<!doctype html>one"


async def test_a_new_build_is_served_without_a_restart(tmp_path: Path) -> None:
    page = Page(build(tmp_path))
    async with client(page) as http:
        await http.get("/")
        build(tmp_path, "<!doctype html>two")
        os.utime(tmp_path / "index.html", ns=(1, 1))
        assert (await http.get("/")).text == "<!doctype html>two"
