"""Several cameras' recordings in step."""

from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import RESULTS
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
MOMENTS = "() => [...document.querySelectorAll('figure .video')].map((one) => one.dataset.utc)"


def test_three_cameras_play_in_step(page: Page, site: Site) -> None:
    names = ("front-door", "yard", "till")
    wait_until("chunks", lambda: all(len(site.chunks(name)) >= 2 for name in names), 120)
    page.goto(f"{site.url}/recordings")
    pictures = page.locator("figure .video")
    expect(pictures).to_have_count(3, timeout=60_000)
    wait_until("three pictures", lambda: None not in page.evaluate(MOMENTS), 20)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    playing = page.locator("figure .video[data-state=playing]")
    expect(playing).to_have_count(3, timeout=60_000)

    def apart() -> float:
        found = times(page)
        return max(found) - min(found)

    # One that began late catches up; then they stay together.
    wait_until("they are in step", lambda: apart() < 0.4, 30)
    first = times(page)
    wait_until("all of them go on", lambda: min(times(page)) > max(first) + 2, 30)
    wait_until("still in step", lambda: apart() < 0.4, 10)
    page.keyboard.press("Space")
    expect(page.locator("figure .video[data-state=paused]")).to_have_count(3)
    # Two of three; the address says which.
    page.get_by_role("checkbox", name="Till").uncheck()
    expect(pictures).to_have_count(2)
    assert page.url.count("camera=") == 2
    for scheme, width, height in (("light", 1440, 900), ("dark", 390, 844)):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(400)
        page.screenshot(path=RESULTS / f"recordings-{scheme}-{width}.png")


def times(page: Page) -> list[float]:
    """The pictures' moments, seconds."""
    return [
        datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        for text in page.evaluate(MOMENTS)
    ]
