"""The camera page's timeline: pictures under the pointer, scrubbing, zoom, speeds, days."""

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.conftest import RESULTS
from support.site import Site, wait_until

pytestmark = pytest.mark.browser


def opened(page: Page, site: Site, camera: str = "yard", chunks: int = 2) -> Locator:
    """The camera page, live, with its recordings drawn; returns the timeline's canvas."""
    wait_until("chunks", lambda: len(site.chunks(camera)) >= chunks, 120)
    page.goto(f"{site.url}/camera/{camera}@shop.loc")
    expect(page.locator(".video")).to_have_attribute("data-state", "live", timeout=20_000)
    canvas = page.locator(".tl > canvas")
    # The first zoom is the closest that holds all recordings; it is the day until they are known.
    pressed = page.get_by_role("group", name="Zoom").get_by_role("button", pressed=True)
    expect(pressed).not_to_have_text("24 h", timeout=20_000)
    page.wait_for_timeout(400)  # the glide to it
    return canvas


def at(page: Page) -> datetime:
    """The moment of the picture on the screen."""
    text = page.locator(".video").get_attribute("data-utc")
    assert text is not None
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def x_of(page: Page, canvas: Locator, moment: datetime) -> float:
    """Where a moment of the last minutes is on the canvas, by the playhead, which stands at now."""
    box = canvas.bounding_box()
    assert box is not None
    bubble = page.locator(".bubble .both span").first
    # Two looks by the pointer tell the scale.
    times = []
    for x in (box["width"] * 0.2, box["width"] * 0.4):
        page.mouse.move(box["x"] + x, box["y"] + 90)
        expect(bubble).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
        shown = time.fromisoformat(bubble.inner_text())
        times.append((x, datetime.combine(moment.date(), shown, UTC)))
    (x0, t0), (x1, t1) = times
    return x0 + (x1 - x0) * ((moment - t0) / (t1 - t0))


def test_pictures_under_the_pointer_and_while_scrubbing(page: Page, site: Site) -> None:
    canvas = opened(page, site)
    box = canvas.bounding_box()
    assert box is not None
    moment = datetime.now(UTC) - timedelta(seconds=25)
    x = box["x"] + x_of(page, canvas, moment)
    page.mouse.move(x, box["y"] + 90)
    thumb = page.locator(".bubble .thumb")
    wait_until("a picture of then", lambda: near(page, thumb, moment, 6), 20)
    page.screenshot(path=RESULTS / "timeline-bubble-1440.png")
    # A click goes there; from there the playhead is dragged, and the video follows.
    page.mouse.click(x, box["y"] + 90)
    video = page.locator(".video")
    expect(video).to_have_attribute("data-state", "playing", timeout=10_000)
    assert abs(at(page) - moment) < timedelta(seconds=6)
    page.keyboard.press("Space")
    expect(video).to_have_attribute("data-state", "paused")
    head = box["x"] + x_of(page, canvas, at(page))
    page.mouse.move(head, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(head - 12, box["y"] + 90, steps=4)
    scrub = page.locator("[data-scrub]")
    expect(scrub).to_be_attached()
    wanted = datetime.fromtimestamp(float(scrub.get_attribute("data-scrub") or 0), UTC)
    wait_until(
        "the video has followed", lambda: abs(at(page) - wanted) < timedelta(seconds=1.5), 10
    )
    page.mouse.up()
    expect(scrub).to_have_count(0, timeout=10_000)
    expect(video).to_have_attribute("data-state", "paused")


def near(page: Page, thumb: Locator, moment: datetime, seconds: float) -> bool:
    taken = thumb.get_attribute("data-at") if thumb.count() else None
    # The pointer moves a little: who rests gets the next finer sheet.
    return taken is not None and abs(float(taken) - moment.timestamp()) <= seconds


def test_zoom_by_wheel_and_keys_keeps_the_moment_under_the_pointer(page: Page, site: Site) -> None:
    canvas = opened(page, site)
    box = canvas.bounding_box()
    assert box is not None
    pressed = page.get_by_role("group", name="Zoom").get_by_role("button", pressed=True)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(pressed).to_have_text("24 h")
    page.wait_for_timeout(300)
    page.mouse.move(box["x"] + 300, box["y"] + 90)
    bubble = page.locator(".bubble .both span").first
    before = bubble.inner_text()
    for name in ("6 h", "1 h", "10 min"):
        page.mouse.wheel(0, -120)
        expect(pressed).to_have_text(name)
        page.wait_for_timeout(300)
    page.mouse.move(box["x"] + 301, box["y"] + 90)
    page.mouse.move(box["x"] + 300, box["y"] + 90)
    expect(bubble).to_have_text(re.compile(f"^{before}:\\d\\d$"))


def test_fast_play_shows_keyframes_and_ends_live(page: Page, site: Site) -> None:
    opened(page, site, chunks=3)
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    video = page.locator(".video")
    expect(video).to_have_attribute("data-state", "playing", timeout=10_000)
    began = at(page)
    page.keyboard.press("l")
    page.keyboard.press("l")
    page.keyboard.press("l")
    expect(video).to_have_attribute("data-rate", "8")
    wait_until("twenty seconds of it", lambda: at(page) - began > timedelta(seconds=20), 15)
    # At 8x the end is near; what follows is live, at its own speed.
    expect(video).to_have_attribute("data-state", "live", timeout=30_000)
    expect(video).to_have_attribute("data-rate", "1")


def test_frame_by_frame_and_a_snapshot_with_its_time(page: Page, site: Site) -> None:
    opened(page, site)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    video = page.locator(".video")
    expect(video).to_have_attribute("data-state", "playing", timeout=10_000)
    page.keyboard.press("Space")
    expect(video).to_have_attribute("data-state", "paused")
    page.wait_for_timeout(300)
    first = at(page)
    page.keyboard.press(".")
    wait_until("the next picture", lambda: at(page) > first, 5)
    assert at(page) - first < timedelta(seconds=0.2), "15 pictures a second: one of them"
    page.keyboard.press(",")
    wait_until("back again", lambda: abs(at(page) - first) < timedelta(seconds=0.01), 5)
    with page.expect_download() as download:
        page.keyboard.press("s")
    name = download.value.suggested_filename
    stamp = re.fullmatch(r"Yard_(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.\d{3}[+-]\d{4})\.png", name)
    assert stamp, name
    taken = datetime.strptime(stamp[1], "%Y-%m-%d_%H-%M-%S.%f%z")
    assert abs(taken - first) < timedelta(seconds=0.1)
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_gap_tells_its_reason_and_the_calendar_its_days(page: Page, site: Site) -> None:
    wait_until("a chunk", lambda: site.chunks("till"), 60)
    site.cameras["till"].kill()
    page.wait_for_timeout(6_000)
    site.cameras["till"].start()
    page.goto(f"{site.url}/camera/till@shop.loc")
    expect(page.locator(".video")).to_have_attribute("data-state", "live", timeout=30_000)
    today = page.locator(".cal .day[aria-current=date]")
    expect(today).to_have_text(re.compile("(partly|2026,) stored$"), timeout=20_000)
    canvas = page.locator(".tl > canvas")
    box = canvas.bounding_box()
    assert box is not None
    bubble = page.locator(".bubble")

    def found() -> bool:
        """Somewhere on the timeline the pointer is over the gap."""
        for x in range(4, int(box["width"]), 6):
            page.mouse.move(box["x"] + x, box["y"] + 90)
            if bubble.count() and "Nothing from" in bubble.inner_text():
                return True
        return False

    wait_until("the gap", found, 60)
    assert re.search(
        r"Nothing from \d\d:\d\d(:\d\d)? to \d\d:\d\d(:\d\d)?\n+The camera", bubble.inner_text()
    )
    page.screenshot(path=RESULTS / "timeline-gap-1440.png")
