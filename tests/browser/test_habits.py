"""What a person expects of a page: installing, no network, links, keys, notices, no jumping."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import NEARBY, RESULTS
from support.site import Site, wait_until

pytestmark = pytest.mark.browser
CONTROLLED = "() => navigator.serviceWorker.controller !== null"
# Kept from the first moment on: how much moved by itself, and when something was first seen.
MEASURE = """
window.moved = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""
PAINTS = """() => Object.fromEntries(
  performance.getEntriesByType('paint').map((one) => [one.name, one.startTime]))"""
# Scripts that were there before the first paint, as they came over the network.
SCRIPT_BYTES = """() => performance.getEntriesByType('resource')
  .filter((one) => one.name.endsWith('.js') && one.startTime <
    performance.getEntriesByName('first-contentful-paint')[0].startTime)
  .reduce((sum, one) => sum + one.encodedBodySize, 0)"""
ELSEWHERE = """() => performance.getEntriesByType('resource')
  .map((one) => new URL(one.name)).filter((url) => url.host !== location.host).map(String)"""
HIDDEN = """
const get = () => (window.away ? 'hidden' : 'visible');
Object.defineProperty(document, 'visibilityState', { get });
"""
NOTICES = """async () => {
  const worker = await navigator.serviceWorker.ready;
  return (await worker.getNotifications()).map((one) => one.title + ': ' + one.body);
}"""


def test_it_can_be_installed(page: Page, site: Site) -> None:
    page.goto(site.url)
    wait_until("the service worker", lambda: page.evaluate(CONTROLLED), 20)
    devtools = page.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    errors = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A browser that keeps nothing (as this one does for tests) installs nothing either.
    assert [one["errorId"] for one in errors if one["errorId"] != "in-incognito"] == []


def test_without_a_network_it_says_so(page: Page, site: Site) -> None:
    page.goto(site.url)
    wait_until("the service worker", lambda: page.evaluate(CONTROLLED), 20)
    page.context.set_offline(True)
    page.goto(f"{site.url}/health")
    expect(page.get_by_role("heading")).to_have_text("This device has no way to the server.")
    page.screenshot(path=RESULTS / "offline-page-1440.png")
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()


def test_nothing_jumps_while_it_loads(
    page: Page, site: Site, record_property: Callable[[str, object], None]
) -> None:
    page.add_init_script(MEASURE)
    page.goto(site.url)
    expect(page.locator("[data-jid][data-state=live]")).to_have_count(3, timeout=20_000)
    page.wait_for_timeout(1_000)
    paints = page.evaluate(PAINTS)
    moved = page.evaluate("window.moved")
    script = page.evaluate(SCRIPT_BYTES)
    painted = paints["first-contentful-paint"]
    told = f"first paint {painted:.0f} ms, layout shift {moved:.3f}, script {script / 1000:.1f} kB"
    record_property("measured", f"the live page: {told}")
    assert moved < 0.05, "Web Vitals call 0.1 good"
    assert 10_000 < script <= 60_000
    others = page.evaluate(ELSEWHERE)
    assert [one for one in others if NEARBY not in one] == [], "nothing from other hosts"


def test_health_on_a_phone_does_not_jump_while_it_loads(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.add_init_script(MEASURE)
    page.goto(f"{site.url}/health")
    expect(page.get_by_text("storage checked")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("region", name="What happened")).to_be_visible()
    assert page.evaluate("window.moved") < 0.1


def test_a_link_names_camera_and_moment(page: Page, site: Site) -> None:
    wait_until("chunks", lambda: len(site.chunks("yard")) >= 2, 120)
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=20)
    page.goto(f"{site.url}/camera/yard@shop.loc?t={moment.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    video = page.locator(".video[data-utc]")
    video.wait_for(timeout=20_000)
    shown = datetime.fromisoformat((video.get_attribute("data-utc") or "").replace("Z", "+00:00"))
    assert abs(shown - moment) < timedelta(seconds=10)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"/camera/yard@shop\.loc\?t=2\d{3}-\d\d-\d\dT"))
    # The address is the moment's: somebody else sees the same picture.
    page.reload()
    page.locator(".video[data-utc]").wait_for(timeout=20_000)


def test_all_keys_are_listed(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("[data-jid]")).to_have_count(3)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet).to_be_visible()
    for key in ("Space", "← →", "Shift ← →", ", .", "↑ ↓", "J K L", "1 to 9", "[ ]", "S", "E", "F"):
        expect(sheet.get_by_role("term").get_by_text(key, exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_trouble_is_told_when_nobody_looks(page: Page, site: Site) -> None:
    page.context.grant_permissions(["notifications"], origin=site.url)
    page.add_init_script(HIDDEN)
    page.goto(f"{site.url}/settings")
    wait_until("the service worker", lambda: page.evaluate(CONTROLLED), 20)
    page.reload()
    page.get_by_role("button", name="Tell me").click()
    expect(page.get_by_role("button", name="Stop telling me")).to_be_visible()
    page.evaluate("window.away = true")
    site.cameras["till"].kill()
    try:
        wait_until("a notice", lambda: page.evaluate(NOTICES), 75)
        (notice,) = page.evaluate(NOTICES)
        # On a machine with much else to do the other two may be late at the same time.
        assert re.match(r"[0-2] of 3 recording: .*Till", notice)
    finally:
        site.cameras["till"].start()


def test_health_room_and_settings(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/health")
    expect(page.get_by_text("storage checked")).to_be_visible(timeout=20_000)
    expect(page.locator("tr[data-jid]")).to_have_count(3)
    page.get_by_role("button", name="Gaps").click()
    expect(page.get_by_role("button", name="Gaps")).to_have_attribute("aria-pressed", "true")
    page.goto(f"{site.url}/room")
    # Two tests before may have killed and started it; either is told as it comes.
    site.cameras["till"].kill()
    try:
        expect(page.get_by_text("lost its network")).to_be_visible(timeout=20_000)
    finally:
        site.cameras["till"].start()
    expect(page.get_by_text("came back at")).to_be_visible(timeout=30_000)
    sent = "() => window.sent.filter((one) => one.type === 'Locate')"
    page.evaluate("""() => {
      window.sent = [];
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (text) {
        window.sent.push(JSON.parse(text));
        send.call(this, text);
      };
    }""")
    page.get_by_role("button", name="Locate Yard").click()
    (message,) = page.evaluate(sent)
    assert message["to"].startswith("yard@shop.loc/")
    page.goto(f"{site.url}/settings")
    expect(page.get_by_text("web.toml → locations.shop.timezone")).to_be_visible()
    for page_name in ("health", "room", "settings"):
        page.goto(f"{site.url}/{page_name}")
        expect(page.locator(".mk, .ro").first).to_be_visible()
        for scheme, width, height in (("light", 1440, 900), ("dark", 390, 844)):
            page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)
            page.screenshot(path=RESULTS / f"{page_name}-{scheme}-{width}.png")


def test_a_code_made_in_settings_sets_a_camera_up(page: Page, site: Site) -> None:
    site.cameras["till"].kill()
    try:
        page.goto(f"{site.url}/settings#invites")
        row = page.locator("#invites .ro", has_text="Till")
        row.get_by_role("button", name="Set up this camera").click(timeout=30_000)
        sheet = page.get_by_role("region", name="Code for Till")
        expect(sheet.get_by_role("img", name="as a QR code")).to_be_visible()
        page.screenshot(path=RESULTS / "settings-code-1440.png")
        command = sheet.locator("code").inner_text()
        code = command.removeprefix(f"ucam enroll {site.url} ")
        assert re.fullmatch("[B-Z]{4}-[B-Z]{4}", code), command
        assert site.post("/enroll", {"code": code})["jid"] == "till@shop.loc"
        sheet.get_by_role("button", name="Cancel").click()
        expect(sheet).to_have_count(0)
        page.goto(f"{site.url}/health")
        log = page.get_by_role("region", name="What happened")
        expect(log.get_by_text("made a code to set Till up.")).to_be_visible(timeout=20_000)
        expect(log.get_by_text("was set up with a code.")).to_be_visible()
    finally:
        site.cameras["till"].start()
