"""Login by the mail's link, and live video in the grid."""

import contextlib
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import RESULTS
from support.site import PERSON, Site, wait_until
from support.viewers import call_processes

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
    """Local ports of the UDP sockets of a camera and of its calls' processes: a WebRTC call has
    some, nothing else does.
    """
    rows = []
    for each in (pid, *call_processes(pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            rows += sockets(each, "udp") + sockets(each, "udp6")
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
    wait_until("no calls again", lambda: not any(map(call_processes, pids)), 30)
    assert not any(map(udp_ports, pids))


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


# Answers to cameras' offers of live pictures are lost, as on a network that lets no call through.
NO_CALLS = """
const calls = new Set();
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  const message = JSON.parse(text);
  if (message.type === 'RequestMedia' && message.kind === 'live') calls.add(message.call);
  if (message.type === 'AnswerMedia' && calls.has(message.call)) return;
  send.call(this, text);
};
"""


def test_where_no_call_gets_through_the_storage_shows_its_pictures(page: Page, site: Site) -> None:
    wait_until("a chunk", lambda: site.chunks("yard"), 60)
    page.add_init_script(NO_CALLS)
    page.goto(site.url)
    tile = page.locator('[data-jid="yard@shop.loc"]')
    expect(tile).to_have_attribute("data-state", "storage", timeout=40_000)
    expect(tile).to_contain_text("doesn't get through this network")
    expect(tile).to_contain_text("By storage")
    played = (
        "() => document.querySelector('.by-storage').getVideoPlaybackQuality().totalVideoFrames"
    )
    frames = page.evaluate(played)
    wait_until("it moves", lambda: page.evaluate(played) > frames + 15, 20)
    page.screenshot(path=RESULTS / "live-by-storage-1440.png")


def test_a_tile_out_of_view_ends_its_call_after_ten_seconds(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site.url)
    expect(page.locator("[data-jid][data-state=live]")).to_have_count(3, timeout=20_000)
    open_calls = "() => spied.filter((pc) => pc.connectionState === 'connected').length"
    before = page.evaluate(open_calls)
    front = page.locator('[data-jid="front-door@shop.loc"]')
    began = time.monotonic()
    # The second row is pushed far down; the first one is looked at.
    front.evaluate("(tile) => { tile.style.marginBottom = '2000px'; }")
    wait_until("one call less", lambda: page.evaluate(open_calls) == before - 1, 25)
    assert time.monotonic() - began > 8, "not at once: who scrolls by comes back"
    expect(front).to_have_attribute("data-state", "live")
    front.evaluate("(tile) => { tile.style.marginBottom = '0'; }")
    expect(page.locator("[data-jid][data-state=live]")).to_have_count(3, timeout=20_000)


def test_full_screen_from_the_grid(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("[data-jid][data-state=live]")).to_have_count(3, timeout=20_000)
    page.locator('[data-jid="yard@shop.loc"]').hover()
    page.keyboard.press("f")
    full = "() => document.fullscreenElement?.closest('[data-jid]')?.dataset.jid ?? null"
    wait_until("full screen", lambda: page.evaluate(full) == "yard@shop.loc", 5)
    page.keyboard.press("f")
    wait_until("back", lambda: page.evaluate(full) is None, 5)
    page.locator('[data-jid="yard@shop.loc"]').dblclick()
    wait_until(
        "the camera's picture at full screen",
        lambda: page.evaluate("document.fullscreenElement?.className.includes('video') ?? false"),
        5,
    )


def test_the_last_picture_of_a_camera_that_was_offline_before(page: Page, site: Site) -> None:
    wait_until("a chunk", lambda: site.chunks("till"), 60)
    site.cameras["till"].kill()
    try:
        page.goto(site.url)
        tile = page.locator('[data-jid="till@shop.loc"]')
        expect(tile).to_have_attribute("data-state", "offline", timeout=20_000)
        expect(tile.get_by_text("Offline since")).to_be_visible()
        expect(tile.locator("canvas.last")).to_be_attached(timeout=30_000)
    finally:
        site.cameras["till"].start()
    expect(tile).to_have_attribute("data-state", "live", timeout=30_000)
