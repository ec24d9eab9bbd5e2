"""Recordings with sound: heard when asked for, left out of fast play, in step when that ends."""

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import log_in
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
SOURCE = [
    *("ffmpeg", "-v", "error", "-re"),
    *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10"),
    *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"),
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"),
    *("-c:a", "aac", "-f", "rtsp", "-rtsp_transport", "tcp"),
]
HEARD = "document.querySelector('.video > video[aria-label$=recorded]').webkitAudioDecodedByteCount"


def test_sound_is_played_when_asked_for(chromium: Browser, tmp_path: Path) -> None:
    site = Site(tmp_path, {}, publishers=["hall"], chunk_size="5s")
    with site.running():
        address = f"rtsps://127.0.0.1:{site.rtsps_port}/hall@shop.loc"
        token = site.token("hall@shop.loc")
        with subprocess.Popen([*SOURCE, f"{address}?token={token}"]) as publisher:
            try:
                wait_until("chunks", lambda: len(site.chunks("hall")) >= 4, 60)
                with chromium.new_context() as context:
                    listen(context.new_page(), site)
            finally:
                publisher.terminate()


def listen(page: Page, site: Site) -> None:
    """On the camera's page, by keys."""
    log_in(page, site)
    page.goto(f"{site.url}/camera/hall@shop.loc")
    expect(page.locator(".video")).to_have_attribute("data-state", "offline", timeout=20_000)
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    video = page.locator(".video")
    expect(video).to_have_attribute("data-state", "playing", timeout=20_000)
    sound = page.get_by_role("button", name="Sound")
    expect(sound).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("m")
    expect(sound).to_have_attribute("aria-pressed", "true")
    wait_until("sound is decoded", lambda: page.evaluate(HEARD) > 1_000, 15)
    # Fast play has no sound track: the source is made anew, and again when it ends.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("l")
    page.keyboard.press("l")
    expect(video).to_have_attribute("data-rate", "4")
    expect(video).to_have_attribute("data-state", "playing", timeout=20_000)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(video).to_have_attribute("data-rate", "1")
    expect(video).to_have_attribute("data-state", "playing", timeout=20_000)
    before = page.evaluate(HEARD)
    wait_until("sound again", lambda: page.evaluate(HEARD) > before + 1_000, 15)
