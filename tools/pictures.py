"""Take the pictures of docs/images from the real page: a demo runs, records a while, and is looked
at as a phone shows it: `python tools/pictures.py`, after `make install`, with Debian's chromium.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PHONE = {"width": 390, "height": 844}
FLAGS = [
    "--disable-gpu",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
CAMERA = "/camera/front-door@demo.loc"
SLOW_MS = 60_000


def main() -> None:
    """Start a demo, let it record, take the pictures, end it."""
    parser = argparse.ArgumentParser(description="take the documentation's pictures anew")
    parser.add_argument("--record", type=float, default=300, help="seconds to record before")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ucam.cli", "demo", "--state", folder, "--port", "0"]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            link = login_link(demo)
            time.sleep(wanted.record)  # the timeline wants something to show
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=FLAGS
                )
                take(browser, link)
        finally:
            demo.terminate()
            demo.wait(60)


def login_link(demo: "subprocess.Popen[str]") -> str:
    """What the demo prints when all of it runs."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.search(r"https?://\S+/login#t=\S+", line):
            return found[0]
    raise SystemExit("the demo ended without a link")


def take(browser: Browser, link: str) -> None:
    """Every picture, in the order in which a person comes along."""
    site = link.partition("/login")[0]
    context = browser.new_context(
        viewport=PHONE,  # type: ignore[arg-type]
        device_scale_factor=2,
        color_scheme="light",
        is_mobile=True,
        has_touch=True,
    )
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    page.goto(site)
    page.get_by_label("E-mail").fill("owner@example.com")
    shoot(page, "phone-sign-in")
    page.close()
    page = context.new_page()  # in the first one only what follows # would change
    page.set_default_timeout(SLOW_MS)
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site}/")
    live = page.locator(".video[data-state=live], [data-state=live]")
    expect(live).to_have_count(3, timeout=SLOW_MS)
    page.wait_for_timeout(3000)
    shoot(page, "phone-live")
    page.goto(f"{site}{CAMERA}")
    expect(page.locator(".video")).to_have_attribute("data-state", "live", timeout=SLOW_MS)
    for _ in range(3):
        page.get_by_title("Back 10 s").locator("visible=true").tap()
    page.wait_for_timeout(4000)
    shoot(page, "phone-recording")
    page.get_by_role("button", name="Export").locator("visible=true").tap()
    sheet = page.get_by_role("region", name="Export")
    sheet.get_by_text("Evidence bundle").tap()
    sheet.get_by_role("button", name="Download").scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    shoot(page, "phone-export")
    page.goto(f"{site}/health")
    page.wait_for_timeout(3000)
    shoot(page, "phone-health")
    context.close()


def shoot(page: Page, name: str) -> None:
    """A JPEG: pictures of a camera are large as PNG."""
    page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=82)
    print(f"docs/images/{name}.jpg")


if __name__ == "__main__":
    main()
