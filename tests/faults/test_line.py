"""A camera behind a bad line: cut, lossy, late, narrow. Its pictures are all recorded, and who
watches in a browser sees them again soon.

UCAM_FAULTS_LINE_S: how long the line is bad; UCAM_FAULTS_WATCHED=1: a browser watches, and what it
sees is timed.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from browser.conftest import FLAGS, SPY, log_in
from faults.counts import count
from faults.line import FAR, TCP, Line, inside, line
from faults.test_calls import recorded
from support.site import Site, wait_until
from ucam.capture.spool.units import FULL
from ucam.storage.database import Database
from ucam.storage.layout import INDEX

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
SECONDS = count("LINE_S", 6)
CUTS_S = [float(each) for each in os.environ.get("UCAM_FAULTS_WATCHED_CUTS", "1,30").split(",")]
watched = pytest.mark.skipif(not count("WATCHED", 0), reason="timed in a browser: make faults")
CAMERA = """source = "test"
width = 320
height = 240
framerate = 15
bitrate = "300kbit/s"
"""
# Snow can't be compressed: the encoder needs what it is allowed.
SNOW = "gst:videotestsrc is-live=true pattern=snow"
MOST_FROZEN = 0.05
BACK_WITHIN_S = 10.0
# Adds up how long no new picture came, of pauses that a person sees as such.
FROZEN = """
window.frozen = { seconds: 0, pictures: 0, last: performance.now() };
window.reached = new Map();
setInterval(async () => {
  let came = 0;
  for (const pc of window.spied ?? [])
    for (const one of (await pc.getStats()).values())
      if (one.type === 'inbound-rtp' && one.kind === 'video') {
        const key = one.id + '/' + window.spied.indexOf(pc);
        came += Math.max(0, one.framesDecoded - (window.reached.get(key) ?? 0));
        window.reached.set(key, one.framesDecoded);
      }
  if (!came) return;
  const now = performance.now(), gap = (now - window.frozen.last) / 1000;
  if (gap > 0.5) window.frozen.seconds += gap;
  window.frozen.pictures += came;
  window.frozen.last = now;
}, 100);
"""


@pytest.fixture
def wire() -> Iterator[Line]:
    """Web, storage and browsers are at its far end, as this test is; the camera at the near one."""
    with line() as made, inside(made.far):
        yield made


@pytest.fixture
def site(tmp_path: Path, wire: Line) -> Site:
    return Site(
        tmp_path, {"cam1": CAMERA}, host=FAR, cameras_under=wire.near.under, chunk_size="5s"
    )


def records(site: Site) -> bool:
    return bool(list(site.recordings.rglob("*.part")))


def test_all_is_recorded_behind_a_lossy_line(site: Site, wire: Line) -> None:
    """5 % lost and 50 to 150 ms late, each way."""
    with site.running():
        wait_until("it records", lambda: records(site))
        wire.set(loss=0.05, delay_s=0.05, jitter_s=0.1)
        time.sleep(SECONDS)
        # TCP gets less through such a line than the camera makes: the rest comes behind it.
        wire.set(loss=0.0, delay_s=0.001, jitter_s=0.0)
        chunks = len(site.chunks("cam1"))
        wait_until("it is caught up", lambda: len(site.chunks("cam1")) > chunks + 1, 90)
    assert recorded(site) > 15 * SECONDS
    assert wire.there.dropped > SECONDS


@pytest.mark.skipif(SECONDS < 30, reason="takes a while to fill up: make faults")
def test_a_line_that_is_too_narrow(tmp_path: Path, wire: Line) -> None:
    """512 kbit/s for twice as much: the spool grows, then its oldest goes, and storage knows where
    and why.
    """
    site = Site(
        *(tmp_path, {"cam1": CAMERA.replace("300kbit/s", "1Mbit/s").replace("test", SNOW)}),
        host=FAR,
        cameras_under=wire.near.under,
        chunk_size="5s",
        spool='memory = "500kB"\nmaxspace = "500kB"',
    )
    with site.running():
        wait_until("it records", lambda: records(site))
        wire.set(rate=512_000 / 8, queue_s=0.3)
        log = site.cameras["cam1"].log
        wait_until(
            "the oldest goes", lambda: FULL in _notes(site) or "lost" in log.read_text(), 120
        )
        began_s = time.monotonic()
        while time.monotonic() - began_s < SECONDS:
            time.sleep(0.5)
            used = sum(path.stat().st_size for path in _spool(site).glob("*.seg"))
            assert used <= 520_000
        wire.set(rate=None)
        chunks = len(site.chunks("cam1"))
        wait_until("it is caught up", lambda: len(site.chunks("cam1")) > chunks + 2, 90)
    assert site.fsck().returncode == 0
    database = Database(site.recordings / INDEX)
    try:
        rows = sorted(database.all_chunks(), key=lambda chunk: chunk.id)
        gaps = database.gaps(rows[0].place, 0, 1 << 62)
    finally:
        database.close()
    assert len({row.run for row in rows}) == 1
    holes = [
        (before, after)
        for before, after in itertools.pairwise(rows)
        if after.first_number != before.last_number + 1
    ]
    assert holes
    assert [gap.reason for gap in gaps] == [FULL] * len(holes)
    for gap, (before, after) in zip(gaps, holes, strict=True):
        assert before.id < gap.from_us <= gap.to_us
        assert abs(gap.to_us - after.id) < 200_000
    lost = sum(after.first_number - before.last_number - 1 for before, after in holes)
    print(f"{len(holes)} gaps, {lost} of {rows[-1].last_number + 1} pictures had no room")


def _spool(site: Site) -> Path:
    return site.folder / "cam1" / "spool" / "cam1@shop.loc"


def _notes(site: Site) -> str:
    try:
        return (_spool(site) / "notes.json").read_text()
    except OSError:
        return ""


@contextmanager
def watching(site: Site) -> Iterator[Page]:
    """A browser that sees the camera."""
    safe = f"--unsafely-treat-insecure-origin-as-secure={site.url}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*FLAGS, safe]
        )
        page = browser.new_page()
        page.add_init_script(SPY + FROZEN)
        log_in(page, site)
        wait_until("live", lambda: page.locator("[data-jid][data-state=live]").count(), 30)
        yield page
        browser.close()


def pictures(page: Page) -> int:
    return int(page.evaluate("window.frozen.pictures"))


@watched
def test_live_behind_a_lossy_line_is_seldom_frozen(site: Site, wire: Line) -> None:
    with site.running(), watching(site) as page:
        wire.set(loss=0.05, delay_s=0.05, jitter_s=0.1)
        time.sleep(3)
        before = page.evaluate("window.frozen.seconds")
        began_s, shown = time.monotonic(), pictures(page)
        page.wait_for_timeout(1000 * max(SECONDS, 30))
        seconds = time.monotonic() - began_s
        frozen_s = page.evaluate("window.frozen.seconds") - before
        shown = pictures(page) - shown
        print(f"{shown} pictures in {seconds:.0f} s, frozen for {frozen_s:.2f} s")
        wire.set(loss=0.0, delay_s=0.001, jitter_s=0.0)
    assert frozen_s < MOST_FROZEN * seconds
    assert shown > 0.8 * 15 * seconds


@watched
@pytest.mark.parametrize("cut_s", CUTS_S)
def test_live_is_back_after_a_cut(site: Site, wire: Line, cut_s: float) -> None:
    with site.running(), watching(site) as page:
        with wire.cut():
            page.wait_for_timeout(1000 * cut_s)
        shown, joined_s = pictures(page), time.monotonic()
        wait_until("ten pictures", lambda: pictures(page) > shown + 10, 120)
        back_s = time.monotonic() - joined_s
        print(f"live again {back_s:.1f} s after a cut of {cut_s:.0f} s")
        # What is spooled is on its way as well.
        chunks = len(site.chunks("cam1"))
        wait_until("it is caught up", lambda: len(site.chunks("cam1")) > chunks + 1, 90)
    assert back_s < BACK_WITHIN_S
    recorded(site)


def _ports(packet: bytes) -> tuple[int, int]:
    """Of a TCP segment in an IPv4 packet: source and destination."""
    head = (packet[0] & 0xF) * 4
    return int.from_bytes(packet[head : head + 2]), int.from_bytes(packet[head + 2 : head + 4])


@watched
def test_where_no_call_gets_through_the_page_says_so(site: Site, wire: Line) -> None:
    """To web and storage alone the camera gets through: the page says so within ten seconds."""
    ports = {site.web_port, site.rtsps_port}
    wire.passes = lambda packet: packet[9] == TCP and not ports.isdisjoint(_ports(packet))
    with site.running(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page()
        log_in(page, site)
        wait_until("a chunk", lambda: site.chunks("cam1"), 60)
        page.reload()
        began_s = time.monotonic()
        tile = page.locator("[data-jid]")
        wait_until("told", lambda: "doesn't get through" in tile.inner_text(), 60)
        told_s = time.monotonic() - began_s
        print(f"told after {told_s:.1f} s: {tile.inner_text()!r}")
        browser.close()
    assert told_s < BACK_WITHIN_S
