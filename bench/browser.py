"""Chromium before a whole ucam, for the page's figures."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, StorageState, ViewportSize, sync_playwright

from browser.conftest import CLIPS, FLAGS, SPY, log_in
from support.site import Site, wait_until

CAMERA = """source = "file:{}"
width = 960
height = 540
framerate = 15
bitrate = "2Mbit/s" """
SMALL = """source = "test"
width = 320
height = 180
framerate = 10
bitrate = "200kbit/s" """
NAMES = ("front-door", "yard", "till")


def shop(folder: Path) -> Site:
    """Three cameras that show clips, chunks of 20 s."""
    cameras = {name: CAMERA.format(CLIPS / f"{name}.mp4") for name in NAMES}
    return Site(folder, cameras, chunk_size="20s")


def street(folder: Path, count: int) -> Site:
    """Many small cameras."""
    return Site(folder, {f"cam{n:02}": SMALL for n in range(count)}, chunk_size="60s")


def named(folder: Path, count: int) -> Site:
    """Many cameras in the configuration, none connected."""
    return Site(folder, {}, publishers=[f"cam{n:02}" for n in range(count)])


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(browser: Browser, site: Site) -> StorageState:
    """What a browser keeps of a login: an address gets three mails in 15 minutes."""
    with browser.new_context() as context:
        log_in(context.new_page(), site)
        return context.storage_state()


@contextlib.contextmanager
def opened(browser: Browser, state: StorageState, *scripts: str) -> Iterator[Page]:
    """A fresh page of somebody who is signed in; `scripts` run before each document's own."""
    size = ViewportSize(width=1440, height=900)
    with browser.new_context(viewport=size, storage_state=state) as context:
        for script in (SPY, *scripts):
            context.add_init_script(script)
        yield context.new_page()


def until(page: Page, what: str, script: str, within_s: float = 30) -> Any:
    """The first true value of a script."""
    return wait_until(what, lambda: page.evaluate(script), within_s)


def recorded_s(site: Site, name: str) -> float:
    """How long ago a camera's first chunk began, in seconds."""
    chunks = site.chunks(name)
    if not chunks:
        return 0.0
    return time.time() - chunks[0].stat().st_mtime
