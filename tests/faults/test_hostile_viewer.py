"""A viewer who is allowed, and means harm: rubbish inside the encryption of a call, a flood of
requests for keyframes, a flood on the data channel. Recording and others don't notice.

UCAM_FAULTS_HOSTILE_S: for how long; UCAM_FAULTS_SEED.
"""

import asyncio
import json
import random
import struct
import time
from contextlib import suppress
from pathlib import Path

import av
import pytest
from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpReceiver
from pylibsrtp import Error as SRTPError

from faults.counts import count, long
from faults.test_calls import Held, recorded
from support.rtc_viewer import call, in_room
from support.site import Site, wait_until
from support.viewers import call_processes, person_token, viewers

pytestmark = pytest.mark.interop
SECONDS = count("HOSTILE_S", 4)
DEVICE = "cam1@shop.loc"
RATE = 15
CAMERA = f"""source = "test"
width = 320
height = 240
framerate = {RATE}
bitrate = "300kbit/s"
"""
MOST_MEMORY_KB = 50_000
# In two seconds: one in 0.3 s, and those that come by themselves; of thirty pictures.
MOST_KEYFRAMES = 10
PLI, FIR, NACK = (206, 1), (206, 4), (205, 1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, {"cam1": CAMERA}, chunk_size="5s")


def rtp(chance: random.Random, ssrc: int) -> bytes:
    """Padding that is longer than the packet, and the like."""
    flags = 0x80 | chance.choice((0x20, 0x30, 0x2F, 0))
    number, stamp = chance.randrange(1 << 16), chance.randrange(1 << 32)
    head = struct.pack("!BBHII", flags & ~0x1F, chance.randrange(128), number, stamp, ssrc)
    return (
        head + chance.randbytes(chance.choice((0, 1, 3, 40, 900))) + chance.choice((b"", b"\xff"))
    )


def rtcp(chance: random.Random, ssrc: int) -> bytes:
    """Requests for keyframes, for packets that never were, and reports that end too early."""
    kind, form = chance.choice((PLI, PLI, FIR, NACK, (200, 31), (201, 31), (202, 31), (205, 15)))
    body = struct.pack("!II", 1, ssrc) + chance.randbytes(4 * chance.randrange(20))
    words = len(body) // 4 if chance.random() < 0.7 else chance.randrange(1 << 16)
    pads = 0x20 if chance.random() < 0.2 else 0
    return struct.pack("!BBH", 0x80 | pads | form, kind, words) + body


def most_keyframes(site: Site, within_s: float) -> int:
    """How many stand in the recordings within so many seconds, where they are the most."""
    times: list[float] = []
    for path in site.chunks("cam1"):
        with av.open(str(path)) as container:
            for packet in container.demux(video=0):
                if packet.is_keyframe and packet.pts is not None:
                    times.append(float(packet.pts * packet.time_base))
    return max(sum(0 <= each - first < within_s for each in times) for first in times)


def keyframe_wanted(ssrc: int) -> bytes:
    """A request as it should be (RFC 4585 §6.3.1)."""
    return struct.pack("!BBHII", 0x81, 206, 2, 1, ssrc)


async def stream_of(receiver: RTCRtpReceiver) -> int:
    """Which one it is shown."""
    async with asyncio.timeout(30):
        while not (sources := receiver.getSynchronizationSources()):
            await asyncio.sleep(0.05)
    return int(sources[0].source)


async def flood_call(site: Site, token: str, chance: random.Random, *, asks: bool = False) -> int:
    """Inside the encryption of a live call: rubbish, or (`asks`) requests for keyframes; how many
    packets went out.
    """
    peer, sent = RTCPeerConnection(), 0
    try:
        async with in_room(site, token) as (socket, welcome):
            await call(socket, welcome, peer, DEVICE, "live")
            receiver = peer.getReceivers()[0]
            wanted = keyframe_wanted(await stream_of(receiver)) if asks else None
            end_s = time.monotonic() + SECONDS
            while time.monotonic() < end_s and receiver.transport.state == "connected":
                make = rtp if chance.random() < 0.5 else rtcp
                packet = wanted or make(chance, chance.randrange(1 << 32))
                with suppress(SRTPError):  # a number that our own side won't send any more
                    await receiver.transport._send_rtp(packet)
                sent += 1
                if sent % 20 == 0:
                    await asyncio.sleep(0.01)
    except ConnectionError:
        pass  # thrown out
    finally:
        await peer.close()
    return sent


async def beside_a_good_viewer(site: Site, *, asks: bool) -> None:
    """Who floods goes, who watches beside him loses nothing, and all is recorded."""
    print(f"UCAM_FAULTS_SEED={(seed := count('SEED', random.randrange(1 << 30)))}")
    with site.running():
        camera, token = site.cameras["cam1"], person_token(site)
        with viewers(site, token, DEVICE, ["good"]) as good:
            wait_until("the good viewer sees", lambda: good.all_see(10))
            shown, began_s = good.told["good"]["frames"], time.monotonic()
            sent = await flood_call(site, token, random.Random(seed), asks=asks)
            seconds = time.monotonic() - began_s
            wait_until("the other is gone", lambda: len(call_processes(camera.pid)) == 1, 40)
            told = good.told["good"]
            assert (told["state"], told["lost"]) == ("connected", 0)
            assert told["frames"] - shown > 0.8 * RATE * (seconds - 2)
        log = camera.log.read_text(errors="replace")
    print(f"{sent} packets in {seconds:.0f} s")
    assert sent > 100
    assert "Traceback" not in log
    assert recorded(site) > RATE * (seconds - 2)


async def test_rubbish_inside_a_call(site: Site) -> None:
    await beside_a_good_viewer(site, asks=False)


@long
async def test_a_flood_of_requests_for_keyframes(site: Site) -> None:
    """Whoever asks all the time gets some: recordings don't grow by it without a bound."""
    await beside_a_good_viewer(site, asks=True)
    keyframes = most_keyframes(site, 2)
    print(f"up to {keyframes} keyframes in 2 s")
    assert keyframes <= MOST_KEYFRAMES


async def flood_channel(site: Site, token: str, opened: asyncio.Event) -> int:
    """As much as the data channel takes: nonsense, requests, requests of 16 KB."""
    peer, sent = RTCPeerConnection(), 0
    wire: asyncio.Future[RTCDataChannel] = asyncio.get_running_loop().create_future()
    peer.on("datachannel", wire.set_result)
    asks = ["x" * 16_000, '{"id":1,"path":"/","x":' + 3900 * "[", "{}", "\0" * 4000]
    asks += [json.dumps({"id": n, "path": "/cameras"}) for n in range(40)]
    try:
        async with in_room(site, token) as (socket, welcome):
            await call(socket, welcome, peer, "storage@", "recordings")
            channel = await wire
            opened.set()
            end_s = time.monotonic() + SECONDS
            while time.monotonic() < end_s and channel.readyState == "open":
                channel.send(asks[sent % len(asks)])
                sent += 1
                while channel.bufferedAmount > 500_000 and channel.readyState == "open":
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)
    finally:
        await peer.close()
    return sent


async def look(site: Site, token: str) -> float:
    """Seconds until another viewer has its answer."""
    began_s = time.monotonic()
    peer = RTCPeerConnection()
    heard = asyncio.Event()

    @peer.on("datachannel")
    def opened(channel: RTCDataChannel) -> None:
        channel.on("message", lambda _data: heard.set())
        channel.send(json.dumps({"id": 1, "path": "/cameras"}))

    try:
        async with in_room(site, token) as (socket, welcome), asyncio.timeout(60):
            await call(socket, welcome, peer, "storage@", "recordings")
            await heard.wait()
    finally:
        await peer.close()
    return time.monotonic() - began_s


async def test_a_flood_on_the_data_channel(site: Site) -> None:
    with site.running():
        token = person_token(site)
        wait_until("a chunk", lambda: site.chunks("cam1"), 60)
        await look(site, token)  # what is loaded for the first viewer isn't the flood's
        before = Held(site.storage.pid).memory_kb
        opened, began_s = asyncio.Event(), time.monotonic()
        flood = asyncio.create_task(flood_channel(site, token, opened))
        await opened.wait()
        waited_s = await look(site, token)
        sent = await flood
        seconds, grown = time.monotonic() - began_s, Held(site.storage.pid).memory_kb - before
        log = site.storage.log.read_text(errors="replace")
    print(f"{sent} messages; another was answered after {waited_s:.1f} s; memory {grown:+} kB")
    assert sent > 100
    assert grown < MOST_MEMORY_KB
    assert "Traceback" not in log
    assert recorded(site) > RATE * (seconds - 2)
