"""What a person waits for in the page: live pictures, seeks, fast play, panning, memory.

Chromium without a GPU, all programs and the browser on this machine; times are the page's own.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, StorageState

from bench.browser import chromium, named, opened, recorded_s, shop, sign_in, street, until
from bench.in_page import (
    CLICK,
    FRAMES,
    LIVE_TILES,
    MONTH,
    PAINTS,
    SEEK,
    UTC,
    WATCH,
)
from bench.result import OURS, Plan, Point, Result, Row

MATERIAL_S = 200
TILES = 16
ROWS = 40
DAYS = 30


def measure(plan: Plan) -> Iterator[Row]:
    """A shop of three cameras, then forty that nobody connected, then sixteen small ones."""
    yield _size()
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        for part in ("shop", "rows", "street"):
            (folder / part).mkdir()
        with (site := shop(folder / "shop")).running():
            state = sign_in(browser, site)
            yield from clicks(browser, site.url, state, plan)
            while recorded_s(site, "yard") < MATERIAL_S:
                time.sleep(1)
            with opened(browser, state) as page:
                yield from recordings(page, site.url, plan)
        with (rows := named(folder / "rows", ROWS)).running():
            yield panning(browser, rows.url, sign_in(browser, rows), plan)
        with (tiles := street(folder / "street", TILES)).running():
            yield from many_tiles(browser, tiles.url, sign_in(browser, tiles), plan)


def _size() -> Row:
    command = [sys.executable, str(Path(__file__).parent.parent / "tools" / "page_size.py")]
    told = subprocess.check_output(command, text=True)
    size = int(told.partition(": ")[2].partition(" ")[0].replace(",", ""))
    return Result("script of the first load, compressed", OURS, "kB", (size / 1000,))


def clicks(browser: Browser, url: str, state: StorageState, plan: Plan) -> Iterator[Row]:
    """From a click on a camera to its live picture: where it is live already, and a new call."""
    for path, name in (("/", "from the grid"), ("/health", "a new call, from Health")):
        times = []
        for _ in range(plan.pick(full=30, quick=10)):
            with opened(browser, state, CLICK) as page:
                page.goto(url + path)
                link = page.locator('a[href^="/camera/yard"]').first
                link.wait_for()
                if path == "/":
                    until(page, "live tiles", f"({LIVE_TILES})() === 3")
                page.wait_for_timeout(500)
                link.click()
                times.append(float(page.evaluate("window.live")))
        yield Result(f"click to live picture, {name}", OURS, "ms", tuple(times))


def recordings(page: Page, url: str, plan: Plan) -> Iterator[Row]:
    """Seeks, playing, fast playing and scrubbing on one camera's page."""
    page.goto(url)
    until(page, "tiles", f"({LIVE_TILES})() === 3")
    painted = float(page.evaluate(PAINTS)["first-contentful-paint"])
    yield Result("first paint of the live page", OURS, "ms", (painted,))
    page.goto(f"{url}/camera/yard@shop.loc")
    until(page, "live", "document.querySelector('.video')?.dataset.state === 'live'")
    page.keyboard.press("ArrowLeft")
    until(page, "a recording", f"!isNaN(({UTC})())")
    page.keyboard.press("Space")
    page.wait_for_timeout(1_000)
    now = time.time()
    chance = random.Random(6)
    times = []
    for _ in range(50):
        at = now - chance.uniform(10, MATERIAL_S - 20)
        times.append(float(page.evaluate(SEEK, at)))
        page.wait_for_timeout(150)
    late = sorted(times)[44]
    note = f"nine of ten within {late:.0f} ms"
    yield Result("random seeks over the channel", OURS, "ms", tuple(times), note=note)
    yield playing(page, plan.pick(full=60, quick=25))
    yield fast(page)
    yield scrubbing(page, plan.pick(full=600, quick=30))


def playing(page: Page, seconds: int) -> Row:
    """At 1x across the ends of chunks of 20 s."""
    page.evaluate(SEEK, time.time() - 100)
    page.keyboard.press("Space")
    page.wait_for_timeout(1_000)
    page.evaluate(WATCH)
    page.wait_for_timeout(seconds * 1000)
    watched = page.evaluate("window.watched")
    note = f"at most {watched['longest']:.0f} ms between pictures of 67"
    name = f"{seconds} s at 1× over chunks of 20 s"
    return Result(name, OURS, "stalls", (watched["stalls"],), note=note)


def fast(page: Page) -> Row:
    """At 8x: keyframes alone."""
    media_s = MATERIAL_S / 2
    page.keyboard.press("Space")
    page.evaluate(SEEK, time.time() - MATERIAL_S - 20)
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("l")
    page.wait_for_timeout(1_000)
    page.evaluate(WATCH)
    began, at = time.monotonic(), page.evaluate(UTC)
    until(page, "so much of it", f"({UTC})() > {at + media_s}", 60)
    speed = media_s / (time.monotonic() - began)
    watched = page.evaluate("window.watched")
    note = f"{speed:.1f}×, at most {watched['longest']:.0f} ms between pictures"
    name = f"{media_s:.0f} s of recording at 8×"
    return Result(name, OURS, "stalls", (watched["stalls"],), note=note)


def scrubbing(page: Page, seconds: int) -> Row:
    """The playhead dragged to and fro; the heap is looked at after its rubbish was collected."""
    for _ in range(3):
        page.keyboard.press("j")
    page.evaluate(SEEK, time.time() - 100)
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.wait_for_timeout(500)
    devtools = page.context.new_cdp_session(page)
    box = page.locator(".tl > canvas").bounding_box()
    assert box is not None
    width = box["width"] * MATERIAL_S / 86_400
    day_s = time.time() % 86_400
    right = box["x"] + box["width"] * day_s / 86_400 - 4
    page.mouse.move(right, box["y"] + 90)
    page.mouse.down()
    began = time.monotonic()
    looks: list[tuple[float, float]] = []
    step = 0
    while (passed := time.monotonic() - began) < seconds:
        step += 1
        page.mouse.move(right - 300 * abs((step % 80) / 40 - 1) - width, box["y"] + 90)
        page.wait_for_timeout(30)
        if passed > seconds * (len(looks) + 1) / 12:
            looks.append((passed / 60, heap(devtools)))
    page.mouse.up()
    # The first quarter fills the caches, which are bounded.
    settled = looks[len(looks) // 4 :]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
    note = f"after the first quarter {slope:+.2f} MB a minute"
    values = tuple(megabytes for _, megabytes in looks)
    return Result(f"heap over {seconds} s of scrubbing", OURS, "MB", values, note=note)


def heap(devtools: CDPSession) -> float:
    """Megabytes of script objects, of the document's, and of arrays that are in use."""
    devtools.send("HeapProfiler.collectGarbage")
    use = devtools.send("Runtime.getHeapUsage")
    parts = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
    return sum(float(use[part]) for part in parts) / 1e6


def panning(browser: Browser, url: str, state: StorageState, plan: Plan) -> Row:
    """Many cameras' rows, a month of chunks each, dragged to and fro."""
    with opened(browser, state, MONTH.replace("DAYS", str(DAYS))) as page:
        page.goto(f"{url}/recordings")
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
        while time.monotonic() - began < plan.seconds:
            step += 1
            page.mouse.move(box["x"] + 500 + 400 * abs((step % 100) / 50 - 1), y)
        page.mouse.up()
        times = sorted(page.evaluate("(cancelAnimationFrame(window.frames), window.times)"))
    late = times[int(0.95 * len(times))]
    note = f"95 % within {late:.1f} ms; {1000 * len(times) / sum(times):.0f} a second"
    name = f"a frame, panning {ROWS} cameras × {DAYS} days of chunks"
    return Result(name, OURS, "ms", tuple(times), note=note)


def many_tiles(browser: Browser, url: str, state: StorageState, plan: Plan) -> Iterator[Row]:
    """Whether as many calls as a page shows stay up."""
    seconds = plan.pick(full=60, quick=20)
    with opened(browser, state) as page:
        page.set_viewport_size({"width": 1440, "height": 1300})
        began = time.monotonic()
        page.goto(url)
        until(page, "all live", f"({LIVE_TILES})() === {TILES}", 90)
        ready_s = time.monotonic() - began
        first = page.evaluate("framesDecoded()")
        page.wait_for_timeout(seconds * 1000)
        live = page.evaluate(f"({LIVE_TILES})()")
        calls = page.evaluate("window.spied.length")
        dropped = page.evaluate(
            "window.spied.filter((pc) => pc.connectionState !== 'connected').length"
        )
        last = page.evaluate("framesDecoded()")
    note = f"{live} live after {seconds} s, {calls} connections made"
    yield Result(f"{TILES} live tiles", OURS, "dropped", (dropped,), note=note)
    yield Result(f"{TILES} live tiles: all are live after", OURS, "s", (ready_s,))
    pictures = tuple((b - a) / seconds for a, b in zip(first, last, strict=False))
    yield Result(f"{TILES} live tiles: each shows, of 10", OURS, "pictures/s", pictures)


POINT = Point(
    "page",
    "The page",
    """Chromium without a GPU, all of ucam beside it on this machine; the page measures itself.
    *Click*: from the click on a camera to the first picture that its page calls live; three
    cameras of 960×540, 15 a second, 2 Mbit/s. *Seek*: to a random moment of the last minutes,
    until its picture is shown. *Stalls*: how often the player ran dry. *Heap*: script objects,
    the document's and arrays, in use after collection, looked at eleven times. *Panning*: forty
    cameras with a chunk a minute for thirty days, not merged; the time of each animation frame.
    *Tiles*: sixteen calls of 320×180, 10 a second; dropped is each connection that isn't up at
    the end.""",
    measure,
)
