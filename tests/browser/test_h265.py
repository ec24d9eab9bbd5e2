"""A camera that sends H.265, before a browser that can't play it."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.conftest import log_in, opened
from support.site import Site, wait_until
from support.viewers import call_processes, person_token, viewers

pytestmark = pytest.mark.browser
SERVER = Path(__file__).parents[1] / "capture" / "rtsp_camera.py"
CODEC = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]


def test_h265_is_refused_in_plain_words_and_recorded(chromium: Browser, tmp_path: Path) -> None:
    """Chromium (Debian's) has no H.265; a viewer who has it sees the same camera beside it."""
    with subprocess.Popen(
        [sys.executable, str(SERVER), "h265"], stdout=subprocess.PIPE, text=True
    ) as ip_camera:
        try:
            assert ip_camera.stdout is not None
            port = int(ip_camera.stdout.readline())
            source = f'source = "rtsp://127.0.0.1:{port}/live"'
            site = Site(tmp_path, {"cam1": source}, chunk_size="2s")
            with site.running(), opened(chromium, None) as page:
                log_in(page, site)
                refused = page.locator("[data-jid]").get_by_role("status")
                expect(
                    refused.filter(has_text="sends H.265, which your browser can't play live")
                ).to_be_visible(timeout=30_000)
                page.goto("about:blank")
                camera = site.cameras["cam1"].pid
                wait_until("nobody watches", lambda: call_processes(camera) == [])
                with viewers(site, person_token(site), "cam1@shop.loc", ["able"]) as able:
                    wait_until("who has H.265 sees", lambda: able.all_see(15))
                    assert able.told["able"]["lost"] == 0
                chunk = wait_until("a chunk", lambda: site.chunks("cam1"))[0]
                codec = subprocess.check_output([*CODEC, str(chunk)], text=True)
        finally:
            ip_camera.kill()
    assert codec.strip() == "hevc"
