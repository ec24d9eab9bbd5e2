"""A tab may stay open for weeks: what was shown once is let go of."""

import pytest
from playwright.sync_api import CDPSession, Page, expect

from support.site import Site

pytestmark = pytest.mark.browser


def nodes(devtools: CDPSession) -> int:
    """How many DOM nodes are in memory, in the page or not."""
    devtools.send("HeapProfiler.collectGarbage")
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(int(metric["value"]) for metric in metrics if metric["name"] == "Nodes")


def test_pages_that_were_left_are_let_go_of(page: Page, site: Site) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    page.goto(site.url)

    def visit() -> int:
        """To a camera's recordings and back to the live pictures, by keys."""
        page.keyboard.press("2")
        player = page.locator(".video")
        expect(player).to_have_attribute("data-state", "live", timeout=20_000)
        page.keyboard.press("ArrowLeft")
        expect(player).to_have_attribute("data-state", "playing", timeout=10_000)
        page.keyboard.press("g")
        page.keyboard.press("l")
        expect(page.locator("[data-jid][data-state=live]")).to_have_count(3, timeout=20_000)
        return nodes(devtools)

    expect(page.locator("[data-jid]")).to_have_count(3)
    first = visit()
    later = [visit() for _ in range(4)]
    # Each visit that left its page behind would add some 300; the browser may be late with one.
    assert min(later[-2:]) < first + 400, (first, later)
    calls = page.evaluate("spied.filter((pc) => pc.connectionState !== 'closed').length")
    assert calls == 4, "three pictures and the recordings' channel"
