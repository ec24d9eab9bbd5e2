"""Recordings over a data channel through paths that delay, lose, narrow and queue: the channel
alone, and a recording that plays in the page.

Storage's `Channel` on aiortc sends; Chromium and aiortc receive. Our sender and aiortc's own, one
after the other. All of a call's packets pass `bench.relay`.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any

from bench.browser import chromium, opened, sign_in, until
from bench.calls import RELAYED, relayed_calls
from bench.in_page import UTC as SHOWN
from bench.in_page import WATCH
from bench.relay import Relay, address_in, through
from bench.result import OURS, Plan, Point, Row
from bench.result import Result as Figures
from bench.storage import Target, make_clip, sending
from support.link import Link, percentile
from support.site import Site

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


def carry(path: Path, role: str, viewer: str = "receive") -> Result:
    """One sender on one path; `viewer` as `channel_end` knows it."""
    there, back = path.links()
    sender, receiver = End(role), End(viewer)
    with Relay(there, back).running() as relay:
        offer = sender.hear()["sdp"]
        address = address_in(offer)
        receiver.say(sdp=through(offer, address, relay.far.port))
        sender.say(sdp=through(receiver.hear()["sdp"], address, relay.near.port))
        receiver.hear()
        time.sleep(SECONDS)
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


LOSSY = Path("80 ms, 0.3 % lost", 0.08, 0.003)
VERY_LOSSY = Path("80 ms, 1 % lost", 0.08, 0.01)
NARROW = Path("20 Mbit/s, 30 ms, queue of 100 ms", 0.03, rate=20 * MBIT, queue_s=0.1)
NARROW_AND_LONG = Path("20 Mbit/s, 80 ms, queue of 100 ms", 0.08, rate=20 * MBIT, queue_s=0.1)
VIEWERS = {"receive": "aiortc", "chromium": "Chromium"}
STOCK = "aiortc's own sender"
PLAYED_S = 60
FILM_S = 90
PLAYING = "document.querySelector('.video')?.dataset.state === 'playing'"


def measure(plan: Plan) -> Iterator[Row]:
    """The channel by path and viewer, then the page."""
    for path in plan.pick(
        full=(LOSSY, VERY_LOSSY, NARROW, NARROW_AND_LONG), quick=(LOSSY, VERY_LOSSY, NARROW)
    ):
        for viewer in VIEWERS:
            yield _row(path, "ucam", viewer, plan.pick(full=plan.runs, quick=1))
        yield _row(path, "aiortc", "receive", plan.pick(full=plan.runs, quick=1))
    with tempfile.TemporaryDirectory() as name:
        yield _play(File(name), VERY_LOSSY)


def _row(path: Path, role: str, viewer: str, runs: int) -> Row:
    results = [carry(path, role, viewer) for _ in range(runs)]
    again = statistics.median(result.again for result in results)
    note = f"{again:.1f} % sent again, {results[0].cpu_ms:.0f} ms CPU a MB"
    if queues := [result.queue_ms for result in results if result.queue_ms is not None]:
        note += f", {statistics.median(queues):.0f} ms queued (p95)"
    who = OURS if role == "ucam" else STOCK
    name = f"{path.name}, to {VIEWERS[viewer]}"
    return Figures(name, who, "MB/s", tuple(result.rate for result in results), note=note)


def _play(folder: File, path: Path) -> Row:
    """4 Mbit/s at 1×, in the page, across the ends of chunks of 20 s; how often it stood still."""
    clip = make_clip(folder / "clip.mp4", size="960x540", rate="4M")
    site = Site(folder, {}, publishers=["yard"], chunk_size="20s")
    with site.running(), chromium() as browser:
        state = sign_in(browser, site)
        address = f"rtsps://127.0.0.1:{site.rtsps_port}/yard@shop.loc"
        target = Target([site.storage.pid], [address], [site.token("yard@shop.loc")])
        begin_s = time.time() - FILM_S + FILM_S / 10
        with sending(clip, target, packet=60_000, seconds=FILM_S / 10, speed=10) as sender:
            sender.sent()
        chunks = [chunk.stat().st_size for chunk in site.chunks("yard")]
        from_ = datetime.fromtimestamp(begin_s + 10, UTC).isoformat().replace("+00:00", "Z")
        with relayed_calls(path.links) as relayed, opened(browser, state, RELAYED) as page:
            page.expose_function("relayed", relayed)
            page.goto(f"{site.url}/camera/yard@shop.loc?t={from_}")
            until(page, "it plays", PLAYING, 60)
            page.evaluate(WATCH)
            began_s, at = time.monotonic(), float(page.evaluate(SHOWN))
            until(page, "so much of it", f"({SHOWN})() > {at + PLAYED_S}", 2 * PLAYED_S)
            late_s = time.monotonic() - began_s - PLAYED_S
            watched = page.evaluate("window.watched")
    longest = f"longest {watched['longest']:.0f} ms between pictures"
    rate = 8 * sum(chunks) / FILM_S / 1e6
    film = f"{rate:.1f} Mbit/s in {len(chunks)} chunks"
    note = f"{longest}, {late_s:.1f} s late at the end, {film}"
    return Figures(
        f"{PLAYED_S} s at 1×, {path.name}", OURS, "stalls", (watched["stalls"],), note=note
    )


POINT = Point(
    "channel",
    "Recordings over a long path",
    f"""The data channel that carries recordings, through a relay on this machine that delays (round
    trip), loses at random (each way), narrows and queues. MB/s of user data at the viewer in the
    first {SECONDS:.0f} s, start-up with it; a viewer gets 3 MB/s at most, and of 20 Mbit/s (2.5
    MB/s) 2.31 MB/s are user data, the rest headers. Beside aiortc's own congestion control. *At
    1×*: a recording of 4 Mbit/s in the page of `ucam web`, in Chromium.""",
    measure,
)
