"""A whole location for hours: viewers come and go, recordings rotate, and nothing grows.

UCAM_SOAK_S: for how long; `make soak` takes eight hours, `make test` only looks at the arithmetic.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc import RTCDataChannel, RTCPeerConnection

from faults.counts import count
from faults.test_calls import Held
from support.rtc_viewer import call, in_room
from support.site import Site, wait_until
from support.viewers import Viewers, call_processes, person_token, viewers
from ucam.storage.database import Database
from ucam.storage.layout import INDEX

pytestmark = pytest.mark.interop
SECONDS = count("SOAK_S", 0)
SAMPLE_S = 5.0
MOST_KB_AN_HOUR = 1000
# What a process's memory goes up and down by from one look to another.
NOISE_KB = 2000
CAMERA = """source = "test"
width = 640
height = 360
framerate = 15
bitrate = "1Mbit/s"
"""


def slope(samples: list[tuple[float, float]]) -> float:
    """How much is added in an hour: the median of the slopes between all pairs (Theil and Sen), so
    that single peaks count for nothing. `samples`: (seconds, value).
    """
    slopes = sorted(
        3600 * (value - before) / (at_s - before_s)
        for (before_s, before), (at_s, value) in itertools.combinations(samples, 2)
    )
    return slopes[len(slopes) // 2]


def grows(samples: list[tuple[float, float]]) -> bool:
    """Whether memory grows by a megabyte an hour, and by more than noise at all."""
    hourly = slope(samples)
    hours = (samples[-1][0] - samples[0][0]) / 3600
    return hourly > MOST_KB_AN_HOUR and hourly * hours > NOISE_KB


def test_a_leak_is_told_from_noise() -> None:
    chance = random.Random(1)

    def hours(many: float, leak_kb: float) -> list[tuple[float, float]]:
        times = [60.0 * minute for minute in range(int(60 * many))]
        return [(at, 80_000 + leak_kb * at / 3600 + chance.gauss(0, 700)) for at in times]

    assert abs(slope(hours(8, 0))) < 200
    assert not grows(hours(8, 500))
    assert grows(hours(8, 1500))
    assert not grows(hours(0.4, 0))
    assert grows(hours(0.4, 8000))


class Samples:
    """Memory and descriptors of each program, from a third of the time on (until then it warms)."""

    def __init__(self, site: Site) -> None:
        self._programs = {"web": site.web, "storage": site.storage, **site.cameras}
        self._began_s = time.monotonic()
        self.memory: dict[str, list[tuple[float, float]]] = {name: [] for name in self._programs}
        self.descriptors: dict[str, list[int]] = {name: [] for name in self._programs}

    def take(self) -> None:
        """One look; only while nobody watches, so that each is comparable."""
        at_s = time.monotonic() - self._began_s
        if at_s < SECONDS / 3:
            return
        for name, program in self._programs.items():
            held = Held(program.pid)
            self.memory[name].append((at_s, held.memory_kb))
            self.descriptors[name].append(held.descriptors)

    def table(self) -> Iterator[str]:
        for name, samples in self.memory.items():
            first, last = samples[0][1] / 1000, samples[-1][1] / 1000
            files = self.descriptors[name]
            yield (
                f"{name:10} {first:6.1f} → {last:6.1f} MB, {slope(samples) / 1000:+.2f} MB an hour,"
                f" files {min(files)}…{max(files)}, {len(samples)} samples"
            )


async def look_back(site: Site, token: str) -> int:
    """Ask the storage for its cameras and their chunks over a data channel; bytes that came."""
    peer, came, heads, over = RTCPeerConnection(), [0], [0], asyncio.Event()
    paths = ["/cameras", "/cameras/cam1@shop.loc/chunks?from=2026-01-01&to=2100-01-01"]

    def message(data: str | bytes) -> None:
        came[0] += len(data)
        heads[0] += isinstance(data, str)
        if heads[0] == len(paths):
            over.set()

    @peer.on("datachannel")
    def opened(channel: RTCDataChannel) -> None:
        channel.on("message", message)
        for number, path in enumerate(paths):
            channel.send(json.dumps({"id": number, "path": path}))

    try:
        async with asyncio.timeout(60), in_room(site, token) as (socket, welcome):
            await call(socket, welcome, peer, "storage@", "recordings")
            await over.wait()
    finally:
        await peer.close()
    return came[0]


def _seen(watching: Viewers) -> bool:
    """Whether pictures come. A call may fail once on a busy machine; a page tries again."""
    try:
        wait_until("pictures", lambda: watching.all_see(20), 30)
    except AssertionError:
        print("missed:", watching.told, flush=True)
        return False
    return True


@pytest.mark.skipif(not SECONDS, reason="hours long: make soak")
async def test_nothing_grows(tmp_path: Path) -> None:
    site = Site(
        tmp_path, {"cam1": CAMERA, "cam2": CAMERA}, chunk_size="5s", maxspace="12MB", reserve="1MB"
    )
    rounds = seen = missed = 0
    with site.running():
        token = person_token(site)
        wait_until("both record", lambda: len(site.chunks("cam1")) and len(site.chunks("cam2")), 60)
        samples, began_s = Samples(site), time.monotonic()
        while time.monotonic() - began_s < SECONDS:
            rounds += 1
            name = ("cam1", "cam2")[rounds % 2]
            with viewers(site, token, f"{name}@shop.loc", ["a", "b"]) as watching:
                missed += not _seen(watching)
            seen += await look_back(site, token)
            pids = [camera.pid for camera in site.cameras.values()]
            wait_until("nobody watches", lambda: not any(map(call_processes, pids)), 40)  # noqa: B023
            await asyncio.sleep(SAMPLE_S)
            samples.take()
            if rounds % 20 == 0:
                print("\n".join(samples.table()) if samples.memory["web"] else rounds, flush=True)
        print(f"\n{rounds} rounds of three who come and go, {seen:,} bytes, {missed} missed")
        print("\n".join(samples.table()))
    assert missed <= rounds / 20
    for name, memory in samples.memory.items():
        assert not grows(memory), f"{name} grows"
        files = samples.descriptors[name]
        assert files[-1] <= files[0] + 2, f"{name}: {files}"
    database = Database(site.recordings / INDEX)
    try:
        rows = sorted(database.all_chunks(), key=lambda row: (row.place.jid, row.id))
    finally:
        database.close()
    for _, chunks in itertools.groupby(rows, key=lambda row: row.run):
        for before, after in itertools.pairwise(chunks):
            assert after.first_number == before.last_number + 1
    assert len({row.run for row in rows}) == 2, "recording was begun anew"
    assert site.fsck().returncode == 0
