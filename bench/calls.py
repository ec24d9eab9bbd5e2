"""A page's calls to a storage through a relay: the page is given the relay's port as the storage's
only address, and the storage the relay's other port as the page's.
"""

import contextlib
from collections.abc import Callable, Iterator

from bench.relay import Relay, address_in, through
from support.link import Link

# The page's connection to the storage, by the relay alone.
RELAYED = """(() => {
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    async setRemoteDescription(offer) {
      this.away = offer.sdp.includes('m=application');
      if (!this.away) return super.setRemoteDescription(offer);
      const [sdp, candidate] = await window.relayed(offer.sdp);
      this.candidate = candidate;
      return super.setRemoteDescription({ type: offer.type, sdp });
    }
    get localDescription() {
      const description = super.localDescription;
      if (!description || !this.away) return description;
      const sdp = description.sdp.replace(/a=candidate.*\\r\\n/g, '')
        .replace(/(a=mid:.*\\r\\n)/, `$1${this.candidate}\\r\\n`);
      return { type: description.type, sdp };
    }
    set onicecandidate(take) {
      super.onicecandidate = take && ((event) => this.away || take(event));
    }
    addIceCandidate(ice) {
      return this.away ? Promise.resolve() : super.addIceCandidate(ice);
    }
  };
})()"""


@contextlib.contextmanager
def relayed_calls(
    links: Callable[[], tuple[Link, Link]],
) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Gives what `RELAYED` calls `window.relayed`: it puts a relay into a storage's offer, and says
    which candidate puts it into the answer; one for each call.
    """
    with contextlib.ExitStack() as stack:

        def relayed(offer: str) -> tuple[str, str]:
            relay = stack.enter_context(Relay(*links()).running())
            address = address_in(offer)
            near = f"a=candidate:1 1 udp 2130706431 {address} {relay.near.port} typ host"
            return through(offer, address, relay.far.port), near

        yield relayed
