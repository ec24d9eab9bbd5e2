"""Many cameras in one process that measure how long storage takes to say that it has a picture.

`python -m bench.load_sender CLIP SECONDS < URLS`, as `bench.generator`; prints `recording`, and at
the end a JSON object with the fields of `bench.load.Sent`. A few streams ask five times a second
what is durable, the others as cameras do, every 2 s.
"""

import asyncio
import json
import ssl
import sys
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench.generator import RATE, Stream, prepare
from ucam.rtsp.client import DurableUntil, Failed, Publisher, Ready
from ucam.rtsp.sdp import RunLine

PACKET = 60_000
ASKING_OFTEN = 8
OFTEN_S = 0.2
SELDOM_S = 2.0
LAST_S = 10.0


@dataclass(eq=False)
class Measured(Stream):
    """A camera that remembers when it sent what isn't durable yet."""

    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    took_s: list[float] = field(default_factory=list)
    ended: bool = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Only when all is sent."""
        if not self.ended:
            sys.exit(f"a connection ended after {self.sent} pictures: {exc}")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As a camera; and how old what is durable now was."""
        now_s = asyncio.get_running_loop().time()
        for event in self.publisher.receive(data):
            match event:
                case Ready():
                    self.ready.set()
                case DurableUntil(position=position) if position is not None:
                    while self.waiting and self.waiting[0][0] <= position.number:
                        self.took_s.append(now_s - self.waiting.popleft()[1])
                case Failed():
                    sys.exit(f"turned away: {event.status} {event.text} at {event.step}")
        self._flush()

    async def run(self, units: list[bytes], start_s: float, *, asks_s: float) -> None:
        """All pictures at their pace, then until the last but a fragment is durable."""
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        for number, unit in enumerate(units):
            wait_s = start_s + number / RATE - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self.room.wait()
            self.transport.write(unit)
            self.sent += 1
            self.waiting.append((number, loop.time()))
            if number % max(1, round(asks_s * RATE)) == 0:
                self._ask()
        self.ended = True
        self.publisher.teardown()
        self._flush()
        await asyncio.wait_for(self.gone.wait(), LAST_S)

    def _ask(self) -> None:
        self.publisher.ask_durable()
        self._flush()


def _same(stream: Measured) -> Measured:
    return stream


async def main(clip: str, seconds: str) -> None:
    """Connect all, send, tell."""
    media = prepare(Path(clip), PACKET, float(seconds), 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    loop = asyncio.get_running_loop()
    streams: list[Measured] = []
    for number, line in enumerate(sys.stdin.read().splitlines()):
        url, _, token = line.partition(" ")
        session = replace(media.session, run=RunLine(f"bench{number}", 0))
        stream = Measured(Publisher(url, token), session, True)
        where = urlsplit(url)
        await loop.create_connection(
            partial(_same, stream), where.hostname, where.port, ssl=context
        )
        await asyncio.wait_for(stream.ready.wait(), 20)
        streams.append(stream)
    print("recording", flush=True)
    start_s = loop.time() + 0.2
    async with asyncio.TaskGroup() as tasks:
        for number, stream in enumerate(streams):
            asks_s = OFTEN_S if number < ASKING_OFTEN else SELDOM_S
            # Cameras aren't in step: their keyframes come one after the other.
            offset_s = number / len(streams)
            tasks.create_task(stream.run(media.units, start_s + offset_s, asks_s=asks_s))
    took_s = sorted(each for stream in streams[:ASKING_OFTEN] for each in stream.took_s)
    told = {
        "pictures": [stream.sent for stream in streams],
        "p50_s": took_s[len(took_s) // 2],
        "p99_s": took_s[int(0.99 * len(took_s))],
        "most_s": took_s[-1],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
