"""Recordings over the data channel: the clock in the picture proves which moment plays."""

import base64
import re
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page

from browser.conftest import RESULTS
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
GRAB = """() => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  return canvas.toDataURL('image/png');
}"""


def clock_in_picture(png: bytes, folder: Path) -> datetime | None:
    """The UTC clock that the camera drew, read by tesseract."""
    picture = folder / "picture.png"
    picture.write_bytes(png)
    # Where the clock is, enlarged, black on white: what an OCR engine likes best.
    cut = "crop=iw/2:ih/8:0:0,scale=iw*2:-1:flags=lanczos"
    filters = f"{cut},format=gray,lut=y='if(gt(val,200),0,255)'"
    text_picture = folder / "clock.png"
    ffmpeg = ["ffmpeg", "-v", "error", "-y", "-i", str(picture), "-vf", filters]
    subprocess.run([*ffmpeg, str(text_picture)], check=True)
    read = subprocess.check_output(
        ["tesseract", str(text_picture), "-", "--psm", "7", "-c"]
        + ["tessedit_char_whitelist=0123456789:- UTC"],
        text=True,
        stderr=subprocess.DEVNULL,
    )
    match = re.search(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", re.sub(r"[-:\s]", "", read))
    if match is None:
        return None
    return datetime.strptime("".join(match.groups()), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def test_a_moment_a_minute_ago(page: Page, site: Site, tmp_path: Path) -> None:
    wait_until(
        "recorded for over a minute",
        lambda: len(site.chunks("yard")) >= 4,  # 20 s chunks
        120,
    )
    wanted = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=60)
    moment = wanted.strftime("%Y-%m-%dT%H:%M:%SZ")
    page.goto(f"{site.url}/camera/yard@shop.loc?t={moment}")
    player = page.locator("[data-utc]")
    player.wait_for(timeout=20_000)
    wait_until("it plays", lambda: player.get_attribute("data-state") == "playing", 20)
    page.wait_for_timeout(2500)
    page.screenshot(path=RESULTS / "camera-1440.png")
    page.keyboard.press("Space")
    wait_until("it pauses", lambda: player.get_attribute("data-state") == "paused", 5)
    page.wait_for_timeout(300)
    shown = player.get_attribute("data-utc")
    assert shown is not None
    said = datetime.fromisoformat(shown.replace("Z", "+00:00"))
    assert timedelta(seconds=1) < said - wanted < timedelta(seconds=20), "it moved on"
    png = base64.b64decode(page.evaluate(GRAB).partition(",")[2])
    drawn = clock_in_picture(png, tmp_path)
    assert drawn is not None, "the clock can't be read"
    assert abs(said - drawn) <= timedelta(seconds=1.5), (said, drawn)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    page.screenshot(path=RESULTS / "camera-390.png")


def test_seeking_back_and_playing_across_a_chunks_end(page: Page, site: Site) -> None:
    wait_until("three chunks", lambda: len(site.chunks("till")) >= 3, 120)
    name = site.chunks("till")[1].name  # 20261122T053000.123456Z_20.033.mp4
    start = datetime.strptime(name.partition("_")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    moment = (start - timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    page.goto(f"{site.url}/camera/till@shop.loc?t={moment}")
    player = page.locator("[data-utc]")

    def at() -> datetime:
        text = player.get_attribute("data-utc")
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else start - 2 * DAY

    wait_until("it plays into the next chunk", lambda: at() > start + timedelta(seconds=2), 25)
    assert player.get_attribute("data-state") == "playing"


DAY = timedelta(days=1)


def test_a_chunk_plays_as_a_plain_file(page: Page, site: Site) -> None:
    wait_until("a chunk", lambda: site.chunks("front-door"), 60)
    chunk = site.chunks("front-door")[0]
    handler = partial(SimpleHTTPRequestHandler, directory=str(chunk.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/{chunk.name}")
        played = "() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
        wait_until("frames", lambda: page.evaluate(played) > 10, 20)
        server.shutdown()
        thread.join()
