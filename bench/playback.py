"""Recordings in the page over paths that delay and lose: seeks and 8×; and over HTTPS,
beside ffmpeg's HLS in the same Chromium.

All of a call's packets go through `bench.relay`.
"""

import contextlib
import http.server
import random
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Page

from bench import channel
from bench.browser import chromium, opened, recorded_s, shop, sign_in, until
from bench.calls import RELAYED, relayed_calls
from bench.in_page import SEEK, UTC, WATCH
from bench.peers import certificate
from bench.result import OURS, Missing, Plan, Plot, Point, Result, Row
from bench.storage import Target, make_clip, sending
from storage.helpers import Tokens
from storage.process import StorageProcess
from support.site import free_port
from ucam.base.times import format_utc

SEEK_NAME, FAST = "seek, over the channel", "8×, over the channel"
HTTP_SEEK = "seek, over HTTPS (HLS)"
HLS = "ffmpeg -f hls, Python's http.server"
FILM_S = 80
PAUSE_MS = 50
HLS_SEEK = """(at) => new Promise((done) => {
  const video = document.querySelector('video');
  const began = performance.now();
  video.requestVideoFrameCallback(() => done(performance.now() - began));
  video.currentTime = at;
})"""


def measure(plan: Plan) -> Iterator[Row]:
    """HTTPS, and the page by path."""
    paths = _paths(plan)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        yield from _https(folder, browser, plan)
        (folder / "shop").mkdir()
        yield from _page(folder / "shop", browser, paths, plan)


def _paths(plan: Plan) -> list[channel.Path]:
    delays = plan.pick(full=(0, 30, 80), quick=(0, 80))
    losses = plan.pick(full=(0.0, 0.3, 1.0), quick=(0.0, 1.0))
    found = []
    for delay in delays:
        for loss in losses:
            name = f"{delay} ms, {loss:g} % lost"
            found.append(channel.Path(name, delay / 1000, loss / 100))
    return found


def _page(folder: Path, browser: Browser, paths: list[channel.Path], plan: Plan) -> Iterator[Row]:
    material_s = plan.pick(full=80, quick=60)
    with (site := shop(folder)).running():
        state = sign_in(browser, site)
        while recorded_s(site, "yard") < material_s:
            time.sleep(1)
        for path in paths:
            with relayed_calls(path.links) as relayed, opened(browser, state, RELAYED) as page:
                page.expose_function("relayed", relayed)
                page.goto(f"{site.url}/camera/yard@shop.loc")
                until(page, "live", "document.querySelector('.video')?.dataset.state === 'live'")
                page.keyboard.press("ArrowLeft")
                until(page, "a recording", f"!isNaN(({UTC})())", 60)
                page.keyboard.press("Space")
                page.wait_for_timeout(1_000)
                now, chance = time.time(), random.Random(6)
                seeks = []
                for _ in range(plan.pick(full=50, quick=10)):
                    at = now - chance.uniform(10, material_s - 20)
                    seeks.append(float(page.evaluate(SEEK, at)))
                    page.wait_for_timeout(PAUSE_MS)
                yield Result(f"{SEEK_NAME}, {path.name}", OURS, "ms", tuple(seeks))
                yield _fast(page, path.name, material_s, plan)


def _fast(page: Page, path: str, material_s: float, plan: Plan) -> Row:
    """At 8×: keyframes alone; how fast it really was, stretch by stretch."""
    page.evaluate(SEEK, time.time() - material_s + 10)
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("l")
    page.wait_for_timeout(1_000)
    page.evaluate(WATCH)
    stretch_s = material_s * 0.6 / plan.runs
    speeds = []
    for _ in range(plan.runs):
        began_s, at = time.monotonic(), float(page.evaluate(UTC))
        until(page, "so much of it", f"({UTC})() > {at + stretch_s}", 120)
        passed = float(page.evaluate(UTC)) - at
        speeds.append(passed / (time.monotonic() - began_s))
    stalls = page.evaluate("window.watched.stalls")
    return Result(f"{FAST}, {path}", OURS, "×", tuple(speeds), note=f"{stalls} stalls")


def _https(folder: Path, browser: Browser, plan: Plan) -> Iterator[Row]:
    """The same film in both: 720p30 at 2 Mbit/s."""
    clip = make_clip(folder / "clip.mp4", size="1280x720", rate="2M")
    with _our_hls(folder, clip) as url:
        yield from _hls_seeks(browser, OURS, url, plan)
    with _ffmpeg_hls(folder, clip) as url:
        yield from _hls_seeks(browser, HLS, url, plan)


def _hls_seeks(browser: Browser, who: str, url: str, plan: Plan) -> Iterator[Row]:
    with browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        if (
            page.evaluate("document.createElement('video').canPlayType('application/x-mpegurl')")
            == ""
        ):
            yield Missing(HTTP_SEEK, "This Chromium plays no HLS by itself.")
            return
        page.goto(url.partition("?")[0].rpartition("/")[0] + "/")
        page.set_content("<video muted></video>")
        page.evaluate("(url) => { document.querySelector('video').src = url; }", url)
        until(page, "the film", "document.querySelector('video').readyState >= 2", 60)
        chance = random.Random(6)
        seeks = []
        for _ in range(plan.pick(full=50, quick=10)):
            seeks.append(float(page.evaluate(HLS_SEEK, chance.uniform(1, FILM_S - 10))))
            page.wait_for_timeout(PAUSE_MS)
    yield Result(HTTP_SEEK, who, "ms", tuple(seeks))


@contextlib.contextmanager
def _our_hls(folder: Path, clip: Path) -> Iterator[str]:
    """A storage that stands alone, with HTTPS, which was given the film at ten times its speed."""
    home = folder / "hls-ucam"
    home.mkdir()
    storage = StorageProcess(home, Tokens(home), chunk_size="20s")
    port = free_port()
    with storage.config.open("a") as config:
        config.write(f'\n[http]\nlisten = "127.0.0.1:{port}"\n')
    storage.start()
    try:
        jid = "cam0@studio.loc"
        token = storage.tokens.issue(jid)
        target = Target([storage.pid], [f"rtsps://127.0.0.1:{storage.port}/{jid}"], [token])
        end_us = time.time_ns() // 1000
        with sending(clip, target, packet=60_000, seconds=FILM_S / 10, speed=10) as sender:
            sender.sent()
        begin_us = end_us - int((FILM_S + 5) * 1e6)
        player = storage.tokens.issue("owner@shop.loc", "player")
        window = f"from={format_utc(begin_us)}&to={format_utc(end_us + 5_000_000)}"
        time.sleep(6)  # the window is past, and the list complete
        yield f"https://127.0.0.1:{port}/cameras/{jid}/hls.m3u8?{window}&token={player}"
    finally:
        storage.stop()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _ffmpeg_hls(folder: Path, clip: Path) -> Iterator[str]:
    """ffmpeg's segments of 6 s, served over TLS."""
    home = folder / "hls-ffmpeg"
    home.mkdir()
    loops = str(FILM_S // 8 - 1)
    command = ["ffmpeg", "-v", "error", "-stream_loop", loops, "-i", str(clip), "-c", "copy"]
    hls = ["-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod"]
    kind = ["-hls_segment_type", "fmp4", "film.m3u8"]
    subprocess.run([*command, *hls, *kind], check=True, cwd=home)
    cert, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    handler = partial(_Quiet, directory=str(home))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}/film.m3u8"
        finally:
            server.shutdown()
            thread.join()


POINT = Point(
    "playback",
    "Playback",
    """The page of `ucam web` in Chromium plays what `ucam storage` has recorded (960×540, 15 a
    second, 2 Mbit/s), all on this machine; the call's packets pass a relay that delays (round
    trip) and loses at random, each way. *Seek*: from the moment that the slider is moved until
    the picture of that moment is shown. *8×*: how fast it really was. *Over HTTPS*: the same film
    of 720p30 at 2 Mbit/s as HLS, by Chromium's own HLS player, from ucam and from ffmpeg's files
    behind a plain file server.""",
    measure,
    (Plot(HTTP_SEEK, "A seek over HTTPS", "bars"),),
)
