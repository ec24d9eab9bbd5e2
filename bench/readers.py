"""Light players: each takes a live stream over TLS, looks at its sequence numbers, and drops it.

`python -m bench.readers COUNT SECONDS < URL TOKEN` prints `playing` when all do, and at the end how
many packets each has got, at the least, and how many were missing in all.
"""

import asyncio
import ssl
import sys
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import uvloop

from ucam.rtsp.messages import Header, Interleaved, Request, Response
from ucam.rtsp.parser import Parser


@dataclass(eq=False)
class Player(asyncio.Protocol):
    """One connection."""

    url: str
    token: str
    parser: Parser = field(default_factory=Parser)
    playing: asyncio.Event = field(default_factory=asyncio.Event)
    transport: asyncio.WriteTransport | None = None
    step: int = 0
    packets: int = 0
    missing: int = 0
    expected: int = -1
    gone: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True

    def _ask(self) -> None:
        interleaved = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
        steps: list[tuple[str, str, tuple[Header, ...]]] = [
            ("DESCRIBE", self.url, ()),
            ("SETUP", f"{self.url}/trackID=0", (interleaved,)),
            ("PLAY", self.url, ()),
        ]
        if self.step == len(steps):
            self.playing.set()
            return
        method, uri, headers = steps[self.step]
        self.step += 1
        known = (("CSeq", str(self.step)), ("Authorization", f"Bearer {self.token}"))
        assert self.transport is not None
        self.transport.write(Request(method, uri, (*known, *headers)).encode())

    def data_received(self, data: bytes) -> None:
        for item in self.parser.feed(data):
            match item:
                case Response(status=200):
                    self._ask()
                case Response():
                    sys.exit(f"refused: {item.status} {item.reason}")
                case Interleaved(packets):
                    for channel, packet in packets:
                        if channel == 0:
                            self._look(packet)

    def _look(self, packet: memoryview) -> None:
        sequence = packet[2] << 8 | packet[3]
        self.packets += 1
        if self.expected >= 0:
            self.missing += (sequence - self.expected) & 0xFFFF
        self.expected = (sequence + 1) & 0xFFFF


def _itself(player: Player) -> Player:
    return player


async def main(count: str, seconds: str) -> None:
    """Play, then tell."""
    url, _, token = sys.stdin.read().strip().partition(" ")
    where = urlsplit(url)
    host, port = str(where.hostname), int(where.port or 322)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    loop = asyncio.get_running_loop()
    players: list[Player] = []
    for _ in range(int(count)):
        player = Player(url, token)
        await loop.create_connection(partial(_itself, player), host, port, ssl=context)
        await asyncio.wait_for(player.playing.wait(), 10)
        players.append(player)
    print("playing", flush=True)
    await asyncio.sleep(float(seconds))
    if gone := sum(player.gone for player in players):
        sys.exit(f"{gone} players were sent away")
    print(min(player.packets for player in players), sum(player.missing for player in players))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
