"""What watching costs and how long it takes: `ucam capture` and Chromium on this machine."""

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.cost import cpu_seconds
from browser.conftest import CAMERA, CLIPS, FLAGS, SPY, log_in
from support.site import Site, wait_until

SECONDS = 10
OPENINGS = 10
# From the camera page's opening to the first picture that is drawn.
FIRST_PICTURE = """() => new Promise(done => {
  const look = () => {
    const video = document.querySelector('video');
    if (video) video.requestVideoFrameCallback(() => done(performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name), {"cam1": CAMERA.format(CLIPS / "yard.mp4")})
        with site.running(), sync_playwright() as playwright:
            capture = site.cameras["cam1"].pid
            idle = cpu_over(capture, SECONDS)
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            context = browser.new_context()
            context.add_init_script(SPY)
            page = context.new_page()
            log_in(page, site)
            wait_until("live", lambda: page.locator("[data-state=live]").count() == 1)
            watched = cpu_over(capture, SECONDS)
            openings = [first_picture_ms(page, site) for _ in range(OPENINGS)]
            browser.close()
    print("\none camera, 960×540 at 15 pictures a second, a clip decoded and encoded:")
    print(f"  capture, nobody watching        {idle:6.1f} % of a core")
    print(f"  a viewer adds                   {watched - idle:6.1f} % of a core")
    print(
        f"  camera page opened to first picture, {OPENINGS} times: median "
        f"{statistics.median(openings):.0f} ms, longest {max(openings):.0f} ms"
    )


def cpu_over(pid: int, seconds: float) -> float:
    """CPU of a process over the coming seconds, in percent of one core."""
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)


def first_picture_ms(page: Page, site: Site) -> float:
    """From navigation to the first picture of the live video, page load included."""
    page.goto(f"{site.url}/camera/cam1@shop.loc", wait_until="commit")
    return float(page.evaluate(FIRST_PICTURE))
