"""A tab may stay open for weeks: what was shown once is let go of."""

import statistics
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Page, expect

from support.site import Site, wait_until

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


def megabytes(devtools: CDPSession) -> float:
    """Script objects, the document's, and arrays that are in use."""
    devtools.send("HeapProfiler.collectGarbage")
    use = devtools.send("Runtime.getHeapUsage")
    parts = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
    return sum(float(use[part]) for part in parts) / 1e6


def test_scrubbing_fills_no_memory(
    page: Page, site: Site, record_property: Callable[[str, object], None]
) -> None:
    """`python -m bench page` does it for ten minutes."""
    wait_until("chunks", lambda: len(site.chunks("yard")) >= 2, 120)
    page.goto(f"{site.url}/camera/yard@shop.loc")
    player = page.locator(".video")
    expect(player).to_have_attribute("data-state", "live", timeout=20_000)
    page.keyboard.press("ArrowLeft")
    expect(player).to_have_attribute("data-state", "playing", timeout=10_000)
    page.keyboard.press("Space")
    canvas = page.locator(".tl > canvas")
    canvas.click(position={"x": 100, "y": 90})
    box = canvas.bounding_box()
    assert box is not None
    devtools = page.context.new_cdp_session(page)
    page.mouse.move(box["x"] + 100, box["y"] + 90)
    page.mouse.down()
    expect(page.locator("[data-scrub]")).to_have_count(0)
    looks = []
    began = time.monotonic()
    for turn in range(6):
        for step in range(40):
            page.mouse.move(box["x"] + 100 + 10 * (step if turn % 2 else 40 - step), box["y"] + 90)
            page.wait_for_timeout(10)
        looks.append(((time.monotonic() - began) / 60, megabytes(devtools)))
    expect(page.locator("[data-scrub]")).to_have_count(1)
    page.mouse.up()
    # What is kept is bounded: one run of the player's bytes more or less, and never one each turn.
    settled = [one for _, one in looks[2:]]
    slope = statistics.linear_regression(*zip(*looks[2:], strict=True)).slope
    told = f"{looks[0][1]:.1f} MB, then {settled[-1]:.1f}: {slope:+.1f} MB a minute"
    record_property("measured", f"heap while scrubbing: {told}")
    assert max(settled) - min(settled) < 10, looks
