"""What a live stream's players cost storage, and how soon they see a picture.

One camera, 1080p30 at 4 Mbit/s, a keyframe each 4 s, over TLS, 1,400-byte packets.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cost import measure as cost
from bench.result import OURS, Plan, Point, Result, Row
from bench.storage import SETTLE_S, make_clip, sending, ucam

CPU, FIRST = "CPU a player", "first picture in PyAV"
READERS = 20
# In a process of its own: the measured one is without FFmpeg.
FIRST_PICTURE = """
import sys, time, av
options = {"rtsp_transport": "tcp", "tls_verify": "0"}
began = time.monotonic()
with av.open(sys.argv[1], options=options, timeout=15) as stream:
    next(stream.decode(video=0))
print(time.monotonic() - began)
"""


def measure(plan: Plan) -> Iterator[Row]:
    """CPU of players, and their first picture with the current group of pictures and without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", keyframes=120)
        with ucam(folder, 1) as (target, storage):
            seconds = SETTLE_S + 2 * plan.runs * plan.seconds + 60 + 12 * plan.runs
            with sending(clip, target, packet=1400, seconds=seconds):
                time.sleep(SETTLE_S + 2)
                alone = [cost(target.pids, plan.seconds).cpu_percent for _ in range(plan.runs)]
                token = storage.tokens.issue("owner@shop.loc", "player")
                watched, told = with_readers(target.pids, f"{target.urls[0]} {token}", plan)
                address = f"{target.urls[0]}?token={token}"
                first = tuple(first_picture_s(address) for _ in range(plan.runs))
                without = tuple(first_picture_s(f"{address}&gop=0") for _ in range(plan.runs))
    before = statistics.median(alone)
    each = tuple((cpu - before) / READERS for cpu in watched)
    yield Result(CPU, OURS, "% of a core", each, note=f"{READERS} players, {told}")
    yield Result(FIRST, OURS, "s", first)
    yield Result(FIRST, "ucam, without the current group (?gop=0)", "s", without)


def with_readers(pids: list[int], address: str, plan: Plan) -> tuple[list[float], str]:
    """CPU with all of them in percent, and what they got."""
    seconds = plan.runs * plan.seconds + 2
    command = [sys.executable, "-m", "bench.readers", str(READERS), str(seconds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(address)
        process.stdin.close()
        process.stdin = None
        if process.stdout.readline().strip() != "playing":
            raise SystemExit("players were refused")
        time.sleep(1)
        watched = [cost(pids, plan.seconds).cpu_percent for _ in range(plan.runs)]
        output, _ = process.communicate(timeout=30)
        if process.returncode:
            raise SystemExit("players were sent away")
    packets, missing = map(int, output.split())
    return watched, f"{packets} packets each, {missing} missing"


def first_picture_s(address: str) -> float:
    """From the connection to the first decoded picture."""
    command = [sys.executable, "-c", FIRST_PICTURE, address]
    return float(subprocess.check_output(command, text=True))


POINT = Point(
    "players",
    "Players of a live stream",
    f"""{READERS} players take one camera's stream out of `ucam storage` by RTSPS: 1080p30 at 4
    Mbit/s, a keyframe each 4 s, 1,400-byte packets, TLS. A player that connects gets the current
    group of pictures first; `?gop=0` turns that off.""",
    measure,
)
