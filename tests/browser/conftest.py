"""Chromium, and a ucam with three cameras for it to look at."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, StorageState, sync_playwright

from support.authority import Authority
from support.site import Site

RESULTS = Path(__file__).parent.parent.parent / "test-results"
CLIPS = Path(__file__).parent.parent.parent / "src" / "ucam" / "demo"
# What the storage's certificate calls it.
NEARBY = "nvr.shop.test"
FLAGS = [
    f"--host-resolver-rules=MAP {NEARBY} 127.0.0.1",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Calls over loopback alone, as a machine without any network has it.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
CAMERA = """source = "file:{}"
width = 960
height = 540
framerate = 15
bitrate = "1Mbit/s" """
# Keeps every connection the page makes where the tests can ask it for its statistics.
SPY = """
window.spied = [];
const Real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(...a) { super(...a); window.spied.push(this); }
};
window.framesDecoded = async () => {
  const counts = [];
  for (const pc of window.spied) {
    if (pc.connectionState !== 'connected') continue;
    for (const s of (await pc.getStats()).values())
      if (s.type === 'inbound-rtp' && s.kind === 'video') counts.push(s.framesDecoded);
  }
  return counts;
};
"""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Has signed the storage's certificate; no browser believes it unless it is told to."""
    return Authority(tmp_path_factory.mktemp("authority"), NEARBY)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Site]:
    """Front door, Yard and Till, each with a running UTC clock in its picture."""
    names = {"front-door": "Front door", "yard": "Yard", "till": "Till"}
    cameras = {name: CAMERA.format(CLIPS / f"{name}.mp4") for name in names}
    certificate = authority.cert, authority.key
    folder = tmp_path_factory.mktemp("site")
    site = Site(folder, cameras, titles=names, certificate=certificate, chunk_size="20s")
    with site.running():
        yield site


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(driver: Playwright) -> Iterator[Browser]:
    browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, site: Site) -> StorageState:
    """What a browser keeps of a login: made once, for an address gets three mails in 15 minutes."""
    with chromium.new_context() as context:
        log_in(context.new_page(), site)
        return context.storage_state()


@pytest.fixture
def stranger(chromium: Browser) -> Iterator[Page]:
    """A fresh browser profile at desktop width; script errors fail the test."""
    with opened(chromium, None) as page:
        yield page


@pytest.fixture
def page(chromium: Browser, signed_in: StorageState) -> Iterator[Page]:
    """The same, of somebody who is signed in."""
    with opened(chromium, signed_in) as page:
        yield page


@contextlib.contextmanager
def opened(chromium: Browser, state: StorageState | None) -> Iterator[Page]:
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme="dark", storage_state=state
    )
    context.add_init_script(SPY)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and "Content Security Policy" in message.text
            else None
        ),
    )
    yield page
    context.close()
    assert errors == []


def log_in(page: Page, site: Site) -> None:
    """By the mail's link and a press, as a person does."""
    page.goto(site.login_link())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/")
