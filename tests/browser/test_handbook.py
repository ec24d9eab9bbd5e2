"""The documentation's site in Chromium: it asks nobody else for anything, fits a phone, and its
search works without the Internet."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from support.handbook import build

pytestmark = pytest.mark.browser

PAGES = ["index", "shop", "troubleshooting", "raspberry-pi-steps", "reference/room"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("handbook"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["wide", "narrow"])
def reader(chromium: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose every request stays on this machine, without an error in its scripts."""
    width, height = request.param
    page = chromium.new_page(viewport={"width": width, "height": height})
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda one: errors.append(one.url))
    yield page
    page.close()
    here = (served, "data:", "blob:")
    assert [url for url in asked if not url.startswith(here)] == []
    assert errors == []
    assert any(url.endswith("figtree.woff2") for url in asked)


def test_pages_fit_and_ask_nobody_else(reader: Page, served: str) -> None:
    width = reader.viewport_size["width"]  # type: ignore[index]
    for name in PAGES:
        reader.goto(f"{served}/{name}.html", wait_until="load")
        assert reader.evaluate("document.documentElement.scrollWidth") <= width, name
        assert reader.locator("h1").count() == 1
        broken = "Array.from(document.images).filter(i => !i.naturalWidth).map(i => i.src)"
        assert reader.evaluate(broken) == [], name


def search(page: Page, words: str) -> None:
    """As a reader does, wide or narrow."""
    if page.viewport_size is not None and page.viewport_size["width"] < 960:
        page.locator("label.md-header__button[for=__search]").click()
    else:
        page.locator(".md-search__input").click()
    # Key by key: it is keys that the search listens to.
    page.locator(".md-search__input").press_sequentially(words)


def test_search_finds_a_page(reader: Page, served: str) -> None:
    reader.goto(f"{served}/index.html")
    search(reader, "coturn")
    found = reader.locator(".md-search-result__link").first
    expect(found).to_be_visible(timeout=30_000)
    expect(reader.locator(".md-search-result")).to_contain_text("A relay of your own")
