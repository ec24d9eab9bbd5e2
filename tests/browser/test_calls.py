"""Live calls in Chromium: restarts, relays, what can't be played."""

import pytest
from playwright.sync_api import Page

from support.site import Site, wait_until

pytestmark = pytest.mark.browser

# Of every call: its remote ICE credentials and how many pictures were decoded.
CALLS = """async () => {
  const calls = [];
  for (const pc of window.spied) {
    const sdp = pc.currentRemoteDescription?.sdp ?? '';
    if (pc.connectionState === 'closed' || !sdp.includes('m=video')) continue;
    let frames = 0;
    for (const s of (await pc.getStats()).values())
      if (s.type === 'inbound-rtp' && s.kind === 'video') frames += s.framesDecoded;
    calls.push({state: pc.connectionState, frames, ufrag: /ice-ufrag:(\\S+)/.exec(sdp)?.[1]});
  }
  return calls;
}"""


def watched_calls(site: Site, name: str) -> int:
    """How many calls a camera has begun and told in its log."""
    return site.cameras[name].log.read_text(errors="replace").count(" watches")


def test_another_network_restarts_the_connection_not_the_call(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/camera/yard@shop.loc")
    wait_until("live", lambda: page.locator("[data-state=live]").count() >= 1, 20)
    (before,) = page.evaluate(CALLS)
    begun = watched_calls(site, "yard")
    page.evaluate("dispatchEvent(new Event('online'))")

    def restarted() -> bool:
        calls = page.evaluate(CALLS)
        return (
            len(calls) == 1
            and calls[0]["ufrag"] != before["ufrag"]
            and calls[0]["state"] == "connected"
            and calls[0]["frames"] > 90  # and goes on
        )

    wait_until("pictures by new ICE credentials", restarted, 30)
    assert watched_calls(site, "yard") == begun, "the same call"
    assert page.locator("[data-state=live]").count() >= 1
