"""What a person waits for in the page: live pictures, seeks, fast play, panning, memory. For who
works on the page: `python -m bench.page` prints; the results pages have live and playback alone.

Chromium without a GPU, all programs and the browser on this machine; times are the page's own.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, StorageState

from bench.browser import chromium, named, opened, recorded_s, shop, sign_in, street, until
from support.site import Site

CLICKS = 10
SEEKS = 50
PLAY_S = 60
FAST_MEDIA_S = 100
SCRUB_S = int(os.environ.get("SCRUB_S", "60"))  # 600 for the long version
MATERIAL_S = 200
TILES = 16
TILES_S = 60
ROWS = 40
DAYS = 30
PAN_S = 4

# When the click came, and when the camera's page showed a live picture.
CLICK = """
window.live = new Promise((resolve) => {
  addEventListener('click', () => {
    const began = performance.now();
    const look = () => {
      const video = document.querySelector('.video[data-state=live] video');
      if (video?.videoWidth) resolve(performance.now() - began);
      else requestAnimationFrame(look);
    };
    look();
  }, { capture: true, once: true });
});
"""
SEEK = """(at) => new Promise((resolve) => {
  const slider = document.querySelector('input[aria-label="Time of day"]');
  const frame = document.querySelector('.video');
  slider.step = 'any';
  slider.value = at;
  const began = performance.now();
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  const look = () => {
    const shown = Date.parse(frame.dataset.utc ?? '') / 1000;
    if (Math.abs(shown - at) < 0.15) resolve(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""
WATCH = """() => {
  const video = document.querySelector('.video > video[aria-label$=recorded]');
  window.watched = { stalls: 0, frames: 0, longest: 0 };
  let last = performance.now();
  video.addEventListener('waiting', () => { window.watched.stalls += 1; });
  const next = () => {
    const now = performance.now();
    window.watched.longest = Math.max(window.watched.longest, now - last);
    window.watched.frames += 1;
    last = now;
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(() => {
    last = performance.now();
    video.requestVideoFrameCallback(next);
  });
}"""
UTC = "() => Date.parse(document.querySelector('.video').dataset.utc ?? '') / 1000"
PAINTS = """() => Object.fromEntries(
  performance.getEntriesByType('paint').map((one) => [one.name, one.startTime]))"""
LIVE_TILES = "() => document.querySelectorAll('[data-jid][data-state=live]').length"
FRAMES = """() => {
  window.times = [];
  let last = performance.now();
  const next = (now) => {
    window.times.push(now - last);
    last = now;
    window.frames = requestAnimationFrame(next);
  };
  window.frames = requestAnimationFrame(next);
}"""
# A month of chunks as a storage would list it, had it merged nothing: the worst to draw.
MONTH = """
const real = RTCDataChannel.prototype.send;
RTCDataChannel.prototype.send = function (text) {
  const { id, path = '' } = JSON.parse(text);
  if (!path.includes('/timeline')) return real.call(this, text);
  const query = new URLSearchParams(path.split('?')[1]);
  const to = Date.parse(query.get('to'));
  const from = Math.max(Date.parse(query.get('from')), Date.now() - %d * 86400e3);
  const spans = [];
  const iso = (ms) => new Date(ms).toISOString();
  for (let at = Math.ceil(from / 60e3) * 60e3; at < to; at += 60e3)
    spans.push({ from: iso(at), to: iso(at + 55e3) });
  const answer = { from: iso(from), to: iso(to), spans, gaps: [], 'on-device': [], activity: null };
  const body = new TextEncoder().encode(JSON.stringify(answer));
  const piece = new Uint8Array(4 + body.length);
  new DataView(piece.buffer).setUint32(0, id);
  piece.set(body, 4);
  setTimeout(() => {
    this.onmessage({ data: JSON.stringify({ id, status: 200, headers: {}, length: body.length }) });
    this.onmessage({ data: piece.buffer });
  });
};
""".replace("%d", str(DAYS))


def main() -> None:
    """Measure and print."""
    print("\nThe page, in Chromium on this machine:")
    size = [sys.executable, str(Path(__file__).parent.parent / "tools" / "page_size.py")]
    print(f"  {subprocess.check_output(size, text=True).strip()}", flush=True)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        for part in ("shop", "rows", "street"):
            (folder / part).mkdir()
        with (site := shop(folder / "shop")).running():
            state = sign_in(browser, site)
            row("click to live, from the grid, median", clicks(browser, site, state, "/"))
            cold = clicks(browser, site, state, "/health")
            row("  from a page without pictures: a new call", cold)
            while recorded_s(site, "yard") < MATERIAL_S:
                time.sleep(1)
            with opened(browser, state) as page:
                recordings(page, site)
        with (rows := named(folder / "rows", ROWS)).running():
            panning(browser, rows)
        with (tiles := street(folder / "street", TILES)).running():
            many_tiles(browser, tiles)


def row(what: str, figure: str) -> None:
    """One line."""
    print(f"  {what:<50}{figure}", flush=True)


def clicks(browser: Browser, site: Site, state: StorageState, path: str) -> str:
    """From a click on a camera to its live picture."""
    times = []
    for _ in range(CLICKS):
        with opened(browser, state, CLICK) as page:
            page.goto(site.url + path)
            link = page.locator('a[href^="/camera/yard"]').first
            link.wait_for()
            if path == "/":
                until(page, "live tiles", f"({LIVE_TILES})() === 3")
            page.wait_for_timeout(500)
            link.click()
            times.append(page.evaluate("window.live"))
    return f"{statistics.median(times):6.0f} ms (longest {max(times):.0f})"


def recordings(page: Page, site: Site) -> None:
    """Seeks, playing, fast playing and scrubbing on one camera's page."""
    page.goto(site.url)
    until(page, "tiles", f"({LIVE_TILES})() === 3")
    paints = page.evaluate(PAINTS)
    row("first paint of the live page", f"{paints['first-contentful-paint']:6.0f} ms")
    page.goto(f"{site.url}/camera/yard@shop.loc")
    until(page, "live", "document.querySelector('.video')?.dataset.state === 'live'")
    page.keyboard.press("ArrowLeft")
    until(page, "a recording", f"!isNaN(({UTC})())")
    page.keyboard.press("Space")
    page.wait_for_timeout(1_000)
    now = time.time()
    chance = random.Random(6)
    times = []
    for _ in range(SEEKS):
        at = now - chance.uniform(10, MATERIAL_S - 20)
        times.append(page.evaluate(SEEK, at))
        page.wait_for_timeout(150)
    times.sort()
    row(f"{SEEKS} random seeks over the channel, median", f"{statistics.median(times):6.0f} ms")
    row("  of ten, nine within", f"{times[int(0.9 * SEEKS) - 1]:6.0f} ms")
    playing(page)
    fast(page)
    scrubbing(page)


def playing(page: Page) -> None:
    """At 1x across the ends of three chunks."""
    page.evaluate(SEEK, time.time() - 100)
    page.keyboard.press("Space")
    page.wait_for_timeout(1_000)
    page.evaluate(WATCH)
    page.wait_for_timeout(PLAY_S * 1000)
    watched = page.evaluate("window.watched")
    figure = f"{watched['stalls']:6d} stalls, longest {watched['longest']:.0f} ms between pictures"
    row(f"{PLAY_S} s at 1x over chunks of 20 s", figure)


def fast(page: Page) -> None:
    """At 8x: keyframes alone."""
    page.keyboard.press("Space")
    page.evaluate(SEEK, time.time() - MATERIAL_S - 20)
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("l")
    page.wait_for_timeout(1_000)
    page.evaluate(WATCH)
    began, at = time.monotonic(), page.evaluate(UTC)
    until(page, "so much of it", f"({UTC})() > {at + FAST_MEDIA_S}", 60)
    speed = FAST_MEDIA_S / (time.monotonic() - began)
    watched = page.evaluate("window.watched")
    figure = f"{watched['stalls']:6d} stalls, {speed:.1f}x, longest {watched['longest']:.0f} ms"
    row(f"{FAST_MEDIA_S} s of recording at 8x", figure)


def scrubbing(page: Page) -> None:
    """The playhead dragged to and fro; the heap is looked at after its rubbish was collected."""
    for _ in range(3):
        page.keyboard.press("j")
    page.evaluate(SEEK, time.time() - 100)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(500)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    box = page.locator(".tl > canvas").bounding_box()
    assert box is not None
    width = box["width"] * MATERIAL_S / 86_400
    day_s = time.time() % 86_400
    right = box["x"] + box["width"] * day_s / 86_400 - 4
    heaps = [heap(devtools)]
    page.mouse.move(right, box["y"] + 90)
    page.mouse.down()
    began = time.monotonic()
    step = 0
    while (passed := time.monotonic() - began) < SCRUB_S:
        step += 1
        page.mouse.move(right - 300 * abs((step % 80) / 40 - 1) - width, box["y"] + 90)
        page.wait_for_timeout(30)
        if passed > SCRUB_S * len(heaps) / 6:
            heaps.append(heap(devtools))
    page.mouse.up()
    heaps.append(heap(devtools))
    figure = "  ".join(f"{one:.0f}" for one in heaps)
    row(f"heap over {SCRUB_S} s of scrubbing, MB", f"  {figure}")


def heap(devtools: CDPSession) -> float:
    """Megabytes of script objects that are in use."""
    devtools.send("HeapProfiler.collectGarbage")
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "JSHeapUsedSize") / 1e6


def panning(browser: Browser, site: Site) -> None:
    """Many cameras' rows, a month of chunks each, dragged to and fro."""
    with opened(browser, sign_in(browser, site), MONTH) as page:
        page.goto(f"{site.url}/recordings")
        page.locator(".lines li").nth(ROWS - 1).wait_for()
        page.get_by_role("group", name="Zoom").get_by_text("24 h").click()
        page.wait_for_timeout(4_000)
        box = page.locator(".lines canvas").bounding_box()
        assert box is not None
        y = 700
        page.mouse.move(box["x"] + 500, y)
        page.mouse.down()
        page.evaluate(FRAMES)
        began = time.monotonic()
        step = 0
        while time.monotonic() - began < PAN_S:
            step += 1
            page.mouse.move(box["x"] + 500 + 400 * abs((step % 100) / 50 - 1), y)
        page.mouse.up()
        times = sorted(page.evaluate("(cancelAnimationFrame(window.frames), window.times)"))
    middle, late = statistics.median(times), times[int(0.95 * len(times))]
    figure = f"{middle:6.1f} ms a frame, 95 % within {late:.1f} ({len(times) / PAN_S:.0f} a second)"
    row(f"panning {ROWS} cameras x {DAYS} days of chunks", figure)


def many_tiles(browser: Browser, site: Site) -> None:
    """Whether as many calls as a page shows stay up."""
    with opened(browser, sign_in(browser, site)) as page:
        page.set_viewport_size({"width": 1440, "height": 1300})
        began = time.monotonic()
        page.goto(site.url)
        until(page, "all live", f"({LIVE_TILES})() === {TILES}", 90)
        ready_s = time.monotonic() - began
        first = page.evaluate("framesDecoded()")
        page.wait_for_timeout(TILES_S * 1000)
        live = page.evaluate(f"({LIVE_TILES})()")
        calls = page.evaluate("window.spied.length")
        dropped = page.evaluate(
            "window.spied.filter((pc) => pc.connectionState !== 'connected').length"
        )
        last = page.evaluate("framesDecoded()")
    pictures = min((b - a) / TILES_S for a, b in zip(first, last, strict=False))
    figure = f"{live} live after {TILES_S} s, {calls} calls made, {dropped} dropped"
    row(f"{TILES} live tiles (all live after {ready_s:.1f} s)", f"  {figure}")
    row("  the slowest shows", f"{pictures:6.1f} of 10 pictures a second")


if __name__ == "__main__":
    main()
