"""Login by the mail's link, and live video in the grid."""

import contextlib
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import RESULTS
from support.site import PERSON, Site, wait_until

pytestmark = pytest.mark.browser


def live_tiles(page: Page) -> int:
    return page.locator("[data-jid][data-state=live]").count()


def test_login_by_the_mails_link(stranger: Page, site: Site) -> None:
    page = stranger
    page.goto(site.url)
    page.get_by_role("textbox").fill(PERSON)
    page.get_by_role("button").first.click()
    expect(page.get_by_text("may sign in here, a link is on its way")).to_be_visible()
    page.screenshot(path=RESULTS / "login-1440.png")
    link = site.login_link()
    page.goto(link)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    token = link.partition("#t=")[2]
    assert token not in page.url, "the token leaves the address bar at once"
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/")
    expect(page.locator("[data-jid]")).to_have_count(3)
    # The link is used up now: whoever finds it gets nowhere.
    browser = page.context.browser
    assert browser is not None
    with browser.new_context() as context:
        finder = context.new_page()
        finder.goto(link)
        finder.get_by_role("button", name="Sign in").click()
        expect(finder.get_by_text("expired")).to_be_visible()


def test_three_live_videos(page: Page, site: Site) -> None:
    began = time.monotonic()
    page.goto(site.url)
    wait_until("three live tiles", lambda: live_tiles(page) == 3, 20)
    print(f"all three live {time.monotonic() - began:.2f} s after the page was opened")
    before = page.evaluate("framesDecoded()")
    assert len(before) == 3
    page.wait_for_timeout(1000)
    after = page.evaluate("framesDecoded()")
    assert all(b > a for a, b in zip(before, after, strict=True)), (before, after)
    wait_until(
        "every camera's newest second is confirmed",
        lambda: page.get_by_text("REC").count() >= 3,
        20,
    )
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / "live-1440.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    page.screenshot(path=RESULTS / "live-390.png")


def sockets(pid: int, table: str) -> list[list[str]]:
    """A process's sockets as the kernel lists them: rows of /proc/net/TABLE."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
    return [row for row in rows if row[9] in inodes]


def udp_ports(pid: int) -> list[int]:
    """Local ports of a process's UDP sockets: a WebRTC call has some, nothing else does."""
    rows = sockets(pid, "udp") + sockets(pid, "udp6")
    return [int(row[1].rpartition(":")[2], 16) for row in rows]


def tcp_peers(pid: int) -> set[int]:
    """Remote ports of a process's established TCP connections."""
    return {int(row[2].rpartition(":")[2], 16) for row in sockets(pid, "tcp") if row[3] == "01"}


def test_nobody_watching_nothing_streams(page: Page, site: Site) -> None:
    pids = [camera.pid for camera in site.cameras.values()]
    wait_until("no calls", lambda: not any(map(udp_ports, pids)), 20)
    for pid in pids:
        # The room and the storage: nobody else is connected, nothing else is sent.
        assert tcp_peers(pid) == {site.web_port, site.rtsps_port}
    page.goto(site.url)
    wait_until("three live tiles", lambda: live_tiles(page) == 3, 20)
    assert all(map(udp_ports, pids))
    assert not any(1900 in udp_ports(pid) for pid in pids), "asks the router for open ports"
    page.goto("about:blank")
    wait_until("no calls again", lambda: not any(map(udp_ports, pids)), 20)


def test_a_camera_that_is_gone_shows_as_offline_and_comes_back(page: Page, site: Site) -> None:
    page.goto(site.url)
    wait_until("three live tiles", lambda: live_tiles(page) == 3, 20)
    site.cameras["till"].kill()
    tile = page.locator('[data-jid="till@shop.loc"]')
    expect(tile).to_have_attribute("data-state", "offline", timeout=20_000)
    expect(page.get_by_text("2 of 3 recording")).to_be_visible(timeout=20_000)
    page.screenshot(path=RESULTS / "offline-1440.png")
    assert live_tiles(page) == 2, "the others don't notice"
    site.cameras["till"].start()
    expect(tile).to_have_attribute("data-state", "live", timeout=30_000)
