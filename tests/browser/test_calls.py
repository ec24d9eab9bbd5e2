"""Live calls in Chromium: restarts, relays, what can't be played."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser.conftest import SPY, log_in
from support.relay import SECRET, relay
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


# A browser that takes no way but TURN, as behind a strict firewall.
RELAY = """
const Direct = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Direct {
  constructor(c) { super({...c, iceTransportPolicy: 'relay'}); }
};
"""
H265 = (
    "gst:videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=180,framerate=10/1"
    " ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h265parse"
)
ROOM_SPY = """
window.ends = [];
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...a) {
    super(...a);
    this.addEventListener('message', (event) => {
      const message = JSON.parse(event.data);
      if (message.type === 'EndMedia') window.ends.push(message.reason);
    });
  }
};
"""


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Site]:
    """A location with a relay, a camera with sound, and one that sends H.265."""
    with relay(tmp_path) as server:
        cameras = {
            "talks": 'source = "test"\nwidth = 640\nheight = 360\nframerate = 15\n'
            '[audio]\nsource = "test"',
            "modern": f"source = '{H265}'",
        }
        site = Site(tmp_path, cameras)
        secret = tmp_path / "turn-secret"
        secret.write_text(SECRET)
        with (tmp_path / "web.toml").open("a") as config:
            config.write(
                f'[ice]\nstun = []\nturn = ["turn:{server}?transport=udp"]\n'
                f'turn-secret-file = "{secret}"\n'
            )
        with site.running():
            yield site


def test_by_a_relay_with_sound_and_who_cannot_play_is_told(chromium: Browser, apart: Site) -> None:
    with chromium.new_context() as context:
        context.add_init_script(RELAY)
        context.add_init_script(SPY)
        context.add_init_script(ROOM_SPY)
        page = context.new_page()
        log_in(page, apart)
        page.goto(f"{apart.url}/camera/talks@shop.loc")
        wait_until("live", lambda: page.locator("[data-state=live]").count() >= 1, 30)
        wait_until("the page says so", lambda: page.get_by_text("Relayed").count() >= 1, 20)
        kinds = page.evaluate(
            "() => [...document.querySelector('video').srcObject.getTracks()].map(t => t.kind)"
        )
        assert sorted(kinds) == ["audio", "video"]
        assert page.evaluate("() => document.querySelector('video').muted"), "until asked for"
        page.goto(f"{apart.url}/camera/modern@shop.loc")
        wait_until("the end", lambda: page.evaluate("window.ends.length"), 30)
        assert "H.265, which your browser can't play live" in page.evaluate("window.ends[0]")
