"""Recordings over a data channel through paths that delay, lose, narrow and queue.

aiortc at both ends, storage's `Channel` on top; ours and aiortc's own sender, one after the other;
once Chromium as the viewer.
"""

import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.relay import Relay, address_in, through
from support.link import Link, percentile

SECONDS = 8.0
MBIT = 125_000.0


@dataclass(frozen=True)
class Path:
    """`round_trip_s` and `loss` (each way) of the path; `rate` in bytes a second of its bottleneck,
    before which `queue_s` fit.
    """

    name: str
    round_trip_s: float
    loss: float = 0.0
    rate: float | None = None
    queue_s: float = 0.2

    def links(self) -> tuple[Link, Link]:
        one_way = self.round_trip_s / 2
        there = Link(one_way, self.loss, self.rate, self.queue_s)
        return there, Link(one_way, self.loss, chance=random.Random(2))


@dataclass(frozen=True)
class Result:
    """`rate`: MB/s at the viewer; `again`: per cent of the packets sent once more; `cpu_ms`: the
    sender's, a megabyte; `queue_ms`: what the path added, 95th percentile.
    """

    rate: float
    again: float
    cpu_ms: float
    queue_ms: float | None


class End:
    """A process of `bench.channel_end`."""

    def __init__(self, role: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.channel_end", role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("one end of the channel has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def say(self, **said: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.communicate()


def measure(path: Path, role: str, viewer: str = "receive", *, seconds: float = SECONDS) -> Result:
    """One sender on one path; `viewer` as `channel_end` knows it."""
    there, back = path.links()
    sender, receiver = End(role), End(viewer)
    with Relay(there, back).running() as relay:
        offer = sender.hear()["sdp"]
        address = address_in(offer)
        receiver.say(sdp=through(offer, address, relay.far.port))
        sender.say(sdp=through(receiver.hear()["sdp"], address, relay.near.port))
        receiver.hear()
        time.sleep(seconds)
        receiver.say(stop=True)
        sender.say(stop=True)
        got, sent = receiver.hear(), sender.hear()
        receiver.say(close=True)
        sender.close()
        receiver.close()
    megabytes = got["bytes"] / 1e6
    return Result(
        megabytes / got["seconds"],
        100 * sent["resent"] / sent["sent"],
        1000 * sent["cpu_s"] / megabytes,
        1000 * percentile(there.waits, 0.95) if path.rate else None,
    )
