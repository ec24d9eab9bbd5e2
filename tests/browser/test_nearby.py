"""Recordings over HTTPS from a storage in the viewer's own network, and the way back from it."""

import os
import re
from collections.abc import Iterator
from datetime import datetime

import pytest
from playwright.sync_api import Browser, Page, Playwright, Request, StorageState, expect

from browser.conftest import FLAGS, NEARBY, opened
from support.authority import Authority
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
CHANNEL = """
window.overChannel = [];
const say = RTCDataChannel.prototype.send;
RTCDataChannel.prototype.send = function (text) {
  window.overChannel.push(JSON.parse(text).path ?? '');
  return say.call(this, text);
};
"""
STALLS = """() => {
  const video = document.querySelector('.video > video[aria-label$=recorded]');
  window.stalls = 0;
  video.addEventListener('waiting', () => { window.stalls += 1; });
}"""
ASKED = "() => window.overChannel.filter((path) => path.startsWith('/chunks/')).length"


@pytest.fixture(scope="module")
def believing(
    chromium: Browser,
    driver: Playwright,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Browser]:
    """A browser to which somebody has given the authority's certificate."""
    home = authority.trusted_in(tmp_path_factory.mktemp("home"))
    browser = driver.chromium.launch(
        executable_path="/usr/bin/chromium", args=FLAGS, env={**os.environ, **home}
    )
    yield browser
    browser.close()


def recorded(page: Page, site: Site) -> None:
    """The yard's recordings, playing from their beginning."""
    chunk = wait_until("a chunk", lambda: site.chunks("yard"), 60)[0]
    start = datetime.strptime(chunk.name.partition("_")[0] + "+0000", "%Y%m%dT%H%M%S.%fZ%z")
    page.goto(f"{site.url}/camera/yard@shop.loc?t={start.isoformat().replace('+00:00', 'Z')}")
    expect(page.locator(".video")).to_have_attribute("data-state", "playing", timeout=20_000)


def test_a_storage_that_the_browser_believes_is_asked_directly(
    believing: Browser, signed_in: StorageState, site: Site
) -> None:
    with opened(believing, signed_in) as page:
        page.add_init_script(CHANNEL)
        direct: list[Request] = []
        page.on("requestfinished", lambda one: direct.append(one) if NEARBY in one.url else None)
        recorded(page, site)
        way = page.locator("header").get_by_text("In this network")
        # A busy machine answers slowly at first; then it is tried again.
        expect(way).to_be_visible(timeout=90_000)

        def ranges() -> list[Request]:
            return [one for one in direct if "/chunks/" in one.url and one.method == "GET"]

        def two() -> bool:
            page.wait_for_timeout(50)  # requests are told meanwhile
            return len(ranges()) >= 2

        wait_until("recordings come that way", two, 60)
        answer = ranges()[-1].response()
        assert answer is not None
        assert answer.status == 206
        # Not the person's own token, which opens all they may see, but one for this alone.
        shown = ranges()[-1].headers["authorization"]
        assert shown not in page.evaluate("localStorage.getItem('ucam.session')")
        refused = page.request.get(f"{site.url}/sessions", headers={"authorization": shown})
        assert refused.status in (401, 403)
        # The way breaks off: the channel takes over, and nobody sees it.
        page.evaluate(STALLS)
        before, moment = page.evaluate(ASKED), shown_moment(page)
        page.route(re.compile(NEARBY), lambda route: route.abort())
        wait_until("the channel is asked", lambda: page.evaluate(ASKED) > before, 60)
        wait_until("it plays on", lambda: shown_moment(page) > moment + 2, 30)
        assert page.evaluate("window.stalls") == 0
        expect(way).to_have_count(0)


def test_a_storage_that_the_browser_does_not_believe_is_asked_over_the_channel(
    page: Page, site: Site
) -> None:
    page.add_init_script(CHANNEL)
    failed: list[str] = []
    page.on("requestfailed", lambda one: failed.append(f"{one.url} {one.failure}"))
    recorded(page, site)

    def tried() -> bool:
        page.wait_for_timeout(50)  # requests are told meanwhile
        return any(NEARBY in one for one in failed)

    wait_until("it was tried", tried, 60)
    assert all("ERR_CERT_AUTHORITY_INVALID" in one for one in failed if NEARBY in one), failed
    assert page.evaluate(ASKED) > 0
    expect(page.locator("header").get_by_text("Direct")).to_be_visible()


def shown_moment(page: Page) -> float:
    """The picture's moment, seconds."""
    text = page.locator(".video").get_attribute("data-utc") or ""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
