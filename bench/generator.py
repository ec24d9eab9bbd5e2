"""A light publisher: packets made beforehand, sent over TLS from one process as many cameras.

`python -m bench.generator CLIP PACKET SPEED SECONDS [chacha] < URLS` takes one `URL TOKEN` a line
(no token: a server that isn't ucam, which is never asked what is durable), waits until all are
recording, prints `recording`, sends, and prints how many access units it has sent to each, and how
late the latest went, in seconds: more than a moment where the server is too slow.
A stream at speed 10 sends ten seconds of the clip a second: a camera that catches up.
"""

import asyncio
import contextlib
import ssl
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import av
import uvloop

from ucam.media.access_unit import AccessUnit
from ucam.media.h264 import split_annex_b
from ucam.rtp.h264_packetizer import H264Packetizer
from ucam.rtsp.client import Failed, Publisher, Ready
from ucam.rtsp.sdp import RunLine, SessionDescription, h264_session

RATE = 30


@dataclass(frozen=True)
class Media:
    """What every stream sends: each access unit's interleaved packets, as one piece of bytes."""

    session: SessionDescription
    units: list[bytes]


def prepare(clip: Path, packet: int, seconds: float, speed: float) -> Media:
    """The clip's access units again and again, their capture times from now on (or, faster than
    real time, up to now).
    """
    with av.open(str(clip)) as file:
        sets = parameter_sets(file)
        coded = [(bytes(each), each.is_keyframe) for each in file.demux(video=0) if each.size]
    count = int(seconds * RATE * speed)
    start_us = time.time_ns() // 1000 - int(count / RATE * 1e6) * (speed > 1)
    packetizer = H264Packetizer(96, 0x0CA7, max_packet=packet, ntp64_id=1, parameter_sets=sets)
    framer = Publisher("rtsps://x", "x")
    units = []
    for number in range(count):
        data, keyframe = coded[number % len(coded)]
        pts = number * 90_000 // RATE
        unit = AccessUnit(data, pts, start_us + pts * 100 // 9, keyframe, number)
        units.append(framer.frame(packetizer.packetize(unit, pts), 0))
    return Media(h264_session(sets, RunLine("bench", 0)), units)


def parameter_sets(file: av.container.InputContainer) -> tuple[bytes, ...]:
    """Of an MP4 with H.264 (out of its avcC, ISO/IEC 14496-15)."""
    data = file.streams.video[0].codec_context.extradata or b""
    position, found = 6, b""
    for _ in range(2):
        size = int.from_bytes(data[position : position + 2])
        found += b"\0\0\0\1" + data[position + 2 : position + 2 + size]
        position += 3 + size
    return tuple(split_annex_b(found))


@dataclass(eq=False)
class Stream(asyncio.Protocol):
    """One camera's connection."""

    publisher: Publisher
    session: SessionDescription
    asks: bool
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    transport: asyncio.WriteTransport | None = None
    sent: int = 0
    late_s: float = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.room.set()
        self.publisher.announce(self.session)
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self.publisher.receive(data):
            match event:
                case Ready():
                    self.ready.set()
                case Failed(step="TEARDOWN"):
                    self.gone.set()  # gst-rtsp-server's answer when it has hung up already
                case Failed():
                    sys.exit(f"turned away: {event.status} {event.text} at {event.step}")
        self._flush()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.room.set()

    def _flush(self) -> None:
        if self.transport is not None and (data := self.publisher.data_to_send()):
            self.transport.write(data)

    async def send(self, units: list[bytes], interval_s: float, start_s: float) -> None:
        """All of it, at its pace; slower where the other side is."""
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        for number, unit in enumerate(units):
            if self.gone.is_set():
                return
            wait_s = start_s + number * interval_s - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self.room.wait()
            self.late_s = max(self.late_s, loop.time() - start_s - number * interval_s)
            self.transport.write(unit)
            self.sent += 1
            if self.asks and number % (2 * RATE) == 0:
                self.publisher.ask_durable()
                self._flush()
        self.publisher.teardown()
        self._flush()
        # Not every server hangs up after a TEARDOWN, as RFC 2326 lets it.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), 20 if self.asks else 2)
        self.transport.close()


async def main(clip: str, packet: str, speed: str, seconds: str, cipher: str = "") -> None:
    """Connect all, then send."""
    pace = float(speed)
    media = prepare(Path(clip), int(packet), float(seconds), pace)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cipher == "chacha":  # as `ucam capture` does where AES is slow
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+CHACHA20")
    loop = asyncio.get_running_loop()
    streams: list[Stream] = []
    for number, line in enumerate(sys.stdin.read().splitlines()):
        url, _, token = line.partition(" ")
        run = RunLine(f"bench{number}", 0)
        session = replace(media.session, run=run)
        stream = Stream(Publisher(url, token or "none"), session, bool(token))
        where = urlsplit(url)
        tls = context if where.scheme == "rtsps" else None
        await loop.create_connection(lambda s=stream: s, where.hostname, where.port, ssl=tls)
        await asyncio.wait_for(stream.ready.wait(), 30)
        streams.append(stream)
    print("recording", flush=True)
    start_s, interval_s = loop.time() + 0.2, 1 / RATE / pace
    async with asyncio.TaskGroup() as tasks:
        for number, stream in enumerate(streams):
            # Cameras aren't in step: their keyframes, one a second, come one after the other.
            offset_s = number / len(streams) / pace
            tasks.create_task(stream.send(media.units, interval_s, start_s + offset_s))
    print(*(stream.sent for stream in streams))
    print(max(stream.late_s for stream in streams), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:6]))
