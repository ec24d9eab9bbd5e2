"""How soon a person sees what a camera sees: `ucam capture` and Chromium on this machine.

Glass to glass: each picture holds its number (`ucam.capture.counter`), which the page's canvas
gives back when the picture is shown; storage tells when the picture of that number was captured.
How often it is clicked: UCAM_BENCH_CLICKS.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av
from playwright.sync_api import Page, sync_playwright

from bench.numbers import number as setting
from browser.conftest import FLAGS, SPY, log_in
from support.site import Site, wait_until
from ucam.capture import counter

CLICKS = setting("CLICKS", 30)
SECONDS = 20
CAMERA = """source = "test"
width = 640
height = 360
framerate = 30
bitrate = "2Mbit/s"
"""
# From the click on "Live" to the first picture that is shown, in ms.
CLICK = """() => new Promise(done => {
  const began = performance.now();
  document.querySelector('a[href="/"]').click();
  const look = () => {
    const video = document.querySelector('video');
    if (video) video.requestVideoFrameCallback((now, frame) =>
      done(Math.max(now, frame.expectedDisplayTime) - began));
    else setTimeout(look, 1);
  };
  look();
})"""
# Of the pictures of the coming seconds: the luma in the middle of each square of the counter, and
# when the picture is on the screen, in ms since 1970.
SHOWN = """([seconds, side, squares]) => new Promise(done => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const shown = [];
  const end = performance.now() + seconds * 1000;
  const next = (now, frame) => {
    const at = performance.timeOrigin + Math.max(now, frame.expectedDisplayTime);
    canvas.width = side * squares;
    canvas.height = 1;
    const row = frame.height - side / 2;
    context.drawImage(video, 0, row, canvas.width, 1, 0, 0, canvas.width, 1);
    const pixels = context.getImageData(0, 0, canvas.width, 1).data;
    const values = [];
    for (let place = 0; place < squares; place += 1)
      values.push(pixels[4 * (place * side + side / 2) + 1]);
    shown.push([at, values]);
    if (now < end) video.requestVideoFrameCallback(next);
    else done(shown);
  };
  video.requestVideoFrameCallback(next);
})"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name), {"cam1": CAMERA}, chunk_size="10s")
        with site.running(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            context = browser.new_context()
            context.add_init_script(SPY)
            page = context.new_page()
            log_in(page, site)
            print(
                f"\na camera of 640×360, 30 a second, and Chromium; load {os.getloadavg()[0]:.1f}:"
            )
            show("click to first picture", [click_ms(page, site) for _ in range(CLICKS)])
            wait_until("live", lambda: page.locator("[data-state=live]").count() == 1)
            side, squares = counter.square(640), counter.TURNS + counter.BITS
            time.sleep(2)
            shown = page.evaluate(SHOWN, [SECONDS, side, squares])
            browser.close()
        captured = capture_times(site)
    seen = {number(values): at_ms for at_ms, values in shown}
    delays = [at_ms - captured[n] for n, at_ms in seen.items() if n in captured]
    show("glass to glass", delays)
    print(f"  of {len(shown)} pictures shown {len(delays)} were read, each once")


def click_ms(page: Page, site: Site) -> float:
    """The page is open, elsewhere; nothing was watched before."""
    page.goto(f"{site.url}/settings")
    page.locator('a[href="/"]').first.wait_for()
    page.wait_for_timeout(1_000)  # in the room, and nobody is in a hurry
    return float(page.evaluate(CLICK))


def number(values: Sequence[int]) -> int | None:
    """As `counter.read`, of the squares alone."""
    turns, bits = values[: counter.TURNS], values[counter.TURNS :]
    if any((value > 127) != bool(place % 2) for place, value in enumerate(turns)):
        return None
    return int("".join("1" if value > 127 else "0" for value in bits), 2)


def capture_times(site: Site) -> dict[int | None, float]:
    """Number of a picture → when it was captured, ms since 1970, by the recordings."""
    found: dict[int | None, float] = {}
    for path in site.chunks("cam1"):
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                plane = frame.planes[0]
                read = counter.read(bytes(plane), plane.line_size, frame.width, frame.height)
                if read is not None and frame.pts is not None:
                    found[read] = frame.pts / 90
    return found


def show(what: str, values: list[float]) -> None:
    """One line."""
    ordered = sorted(values)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"  {what:24} median {statistics.median(values):5.0f} ms, p95 {p95:5.0f} ms"
        f" ({len(values)} times)",
        flush=True,
    )
