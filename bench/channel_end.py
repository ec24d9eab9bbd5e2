"""One end of a recordings channel, as a process: `python -m bench.channel_end ROLE`.

Speaks JSON lines: senders say their offer and take the answer, receivers the other way about.
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvloop
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcsctptransport import Chunk, DataChunk, RTCSctpTransport
from playwright.async_api import async_playwright

from ucam.storage.playback import sctp
from ucam.storage.playback.answers import Answer, Request
from ucam.storage.playback.channel import LOW_BYTES, Channel

CHROMIUM = "/usr/bin/chromium"
# More than any run takes.
BODY = bytes(256_000_000)


def say(**said: object) -> None:
    print(json.dumps(said), flush=True)


async def heard() -> dict[str, Any]:
    line = await asyncio.to_thread(sys.stdin.readline)
    found: dict[str, Any] = json.loads(line)
    return found


async def send() -> None:
    """As storage does, until told to stop."""
    counts = count_sent()
    connection = RTCPeerConnection()
    wire = connection.createDataChannel("recordings", ordered=True)
    wire.bufferedAmountLowThreshold = LOW_BYTES

    set_up_s = 0.0

    async def handle(_request: Request) -> Answer:
        nonlocal set_up_s
        set_up_s = time.process_time()
        return Answer(200, {}, BODY)

    channel = Channel(wire, handle, frozenset(), closed=lambda: wire.readyState != "open")
    wire.on("message", channel.message)
    wire.on("bufferedamountlow", channel.drained)
    await connection.setLocalDescription(await connection.createOffer())
    say(sdp=connection.localDescription.sdp)
    answer = await heard()
    await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    await heard()
    say(sent=counts[0], resent=counts[1], cpu_s=time.process_time() - set_up_s)
    await channel.close()
    await connection.close()


def count_sent() -> list[int]:
    """Data packets, and those of them that were sent before."""
    counts = [0, 0]
    original = RTCSctpTransport._send_chunk

    async def counting(self: RTCSctpTransport, chunk: Chunk) -> None:
        if isinstance(chunk, DataChunk):
            counts[0] += 1
            counts[1] += chunk._sent_count > 1
        await original(self, chunk)

    RTCSctpTransport._send_chunk = counting  # type: ignore[method-assign]
    return counts


async def receive() -> None:
    """Ask for more than comes, and say how much came in how long."""
    offer = await heard()
    connection = RTCPeerConnection()
    began: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    total = 0

    def message(data: str | bytes) -> None:
        nonlocal total
        total += len(data)

    def opened(wire: RTCDataChannel) -> None:
        wire.on("message", message)
        wire.send(json.dumps({"id": 1, "path": "/x"}))
        began.set_result(time.monotonic())

    connection.on("datachannel", opened)
    await connection.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    say(sdp=connection.localDescription.sdp)
    begin = await began
    say(opened=True)
    await heard()
    say(bytes=total, seconds=time.monotonic() - begin)
    await heard()
    await connection.close()


PAGE = """
window.total = 0;
window.answer = async (sdp) => {
  const pc = window.pc = new RTCPeerConnection();
  window.opened = new Promise((done) => pc.ondatachannel = ({channel}) => {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({data}) => window.total += data.byteLength ?? data.length;
    channel.onopen = () => done(channel);
  });
  await pc.setRemoteDescription({type: 'offer', sdp});
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
};
window.ask = async () => {
  (await window.opened).send(JSON.stringify({id: 1, path: '/x'}));
};
"""


async def browse() -> None:
    """As `receive`, in Chromium."""
    flags = ["--disable-gpu", "--no-sandbox", "--disable-features=WebRtcHideLocalIpsWithMdns"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = await browser.new_page()
        await page.add_script_tag(content=PAGE)
        say(sdp=await page.evaluate("(sdp) => window.answer(sdp)", (await heard())["sdp"]))
        await page.evaluate("window.ask()")
        begin = time.monotonic()
        say(opened=True)
        await heard()
        say(bytes=await page.evaluate("window.total"), seconds=time.monotonic() - begin)
        await heard()
        await browser.close()


def main(role: str) -> None:
    """`ucam`: our sender, `aiortc`: the stock one; `receive`, `chromium`: either's viewer."""
    if role == "ucam" and not sctp.install():
        raise SystemExit("another aiortc than ucam's")
    ends = {"receive": receive, "chromium": browse}
    uvloop.run(ends.get(role, send)())


if __name__ == "__main__":
    main(sys.argv[1])
