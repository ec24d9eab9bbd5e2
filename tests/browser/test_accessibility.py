"""Every page in both themes, wide and narrow, by axe-core's rules; the way by keyboard alone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import RESULTS
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
PICTURES = RESULTS / "pages"
AXE = Path(__file__).parent.parent.parent / "ui" / "node_modules" / "axe-core" / "axe.min.js"
# Colours glide when the theme changes: what is judged and pictured is what stays.
SETTLED = """async () => {
  await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
  await Promise.allSettled(document.getAnimations().map((one) =>
    one.effect.getTiming().iterations === Infinity ? null : one.finished));
}"""
RUN = "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"
# Pages, and what is there when a page is no longer loading.
PAGES = {
    "/": "[data-jid][data-state=live]",
    "/camera/yard@shop.loc": ".head .rec",
    "/recordings": "figure:last-child .video[data-utc]",
    "/health": "table",
    "/room": ".pres li:nth-child(3)",
    "/settings": ".ro code",
}
SPOKEN = re.compile(r"^\d\d:\d\d:\d\d, stored$")
FOCUSED = "(document.activeElement.ariaLabel ?? document.activeElement.innerText)"


def violations(page: Page, where: str) -> list[str]:
    """What axe-core finds, in both themes, on a desktop and on a phone; and a picture of each."""
    page.evaluate(AXE.read_text())
    found = []
    name = where.strip("/").partition("/")[0] or "live"
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        for width, height in ((1440, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate(SETTLED)
            page.screenshot(path=PICTURES / f"{name}-{theme}-{width}.png")
            result: list[dict[str, Any]] = page.evaluate(RUN)
            found += [
                f"{where}, {theme}, {width} px: {rule['help']}: {node['html']}"
                for rule in result
                for node in rule["nodes"]
            ]
    return found


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_no_accessibility_faults(
    page: Page, site: Site, path: str, record_property: Callable[[str, object], None]
) -> None:
    page.goto(site.url + path)
    expect(page.locator(PAGES[path]).first).to_be_visible(timeout=30_000)
    found = violations(page, path)
    record_property(
        "measured", f"{path}: {len(found)} accessibility faults by axe, 2 themes, 2 widths"
    )
    assert found == []


def test_login_has_no_accessibility_faults(stranger: Page, site: Site) -> None:
    stranger.goto(site.url)
    expect(stranger.get_by_label("E-mail")).to_be_focused()
    assert violations(stranger, "login") == []


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if str(page.evaluate(FOCUSED)).startswith(name):
            return
    raise AssertionError(f"Tab doesn't lead to {name}")


def test_from_the_live_pictures_to_a_moment_by_keyboard(page: Page, site: Site) -> None:
    wait_until("a chunk", lambda: site.chunks("yard"), 60)
    page.goto(site.url)
    expect(page.locator("[data-jid]")).to_have_count(3)
    tab_to(page, "Yard")
    page.keyboard.press("Enter")
    player = page.locator(".video")
    expect(player).to_have_attribute("data-state", "live", timeout=20_000)
    # What was recorded so far, not a line in an empty day.
    zoom = page.get_by_role("group", name="Zoom").get_by_role("button", pressed=True)
    expect(zoom).to_have_text("10 min")
    tab_to(page, "Time of day")
    page.keyboard.press("ArrowLeft")
    expect(player).to_have_attribute("data-state", "playing", timeout=10_000)
    assert "?t=" in page.url
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", SPOKEN)
    page.keyboard.press("Space")
    expect(player).to_have_attribute("data-state", "paused")
    page.keyboard.press("n")
    expect(player).to_have_attribute("data-state", "live", timeout=20_000)
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url(f"{site.url}/health")
    expect(page.get_by_role("main")).to_be_focused()
