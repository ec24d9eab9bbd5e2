"""What `ucam capture` costs over a bare GStreamer pipeline of the same source and encoder, which
runs beside it, and what each viewer adds. How long and how often: UCAM_BENCH_SECONDS,
UCAM_BENCH_ROUNDS.
"""

import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cost import cpu_seconds
from bench.numbers import number
from support.site import Site, wait_until
from support.viewers import call_host, call_processes, person_token, viewers
from ucam.base.units import Rate
from ucam.capture.config import Video
from ucam.capture.encoder import choose_encoder
from ucam.capture.gst import ThisMachine, has_element, proves
from ucam.capture.sources import SINK, launch_text, plan

SECONDS = number("SECONDS", 8)
ROUNDS = number("ROUNDS", 5)
VIEWERS = (1, 2, 4, 8)
# Noise: the encoder really needs its 2 Mbit/s.
SOURCE = (
    "gst:videotestsrc is-live=true pattern=snow"
    " ! video/x-raw,format=I420,width=640,height=360,framerate=30/1"
)
VIDEO = Video(source=SOURCE, width=640, height=360, framerate=30, bitrate=Rate(2_000_000))
CAMERA = f"""source = '{SOURCE}'
width = 640
height = 360
framerate = 30
bitrate = "2Mbit/s"
"""
DEVICE = "cam1@shop.loc"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, bare() as gst_launch:
        site = Site(Path(name), {"cam1": CAMERA}, chunk_size="20s")
        with site.running():
            token = person_token(site)
            camera = site.cameras["cam1"].pid
            time.sleep(3)
            print(
                f"\n640×360 noise, 30 a second, 2 Mbit/s; load {os.getloadavg()[0]:.1f};", end=" "
            )
            print(f"% of a core, median of {ROUNDS} times {SECONDS} s (least, most):", flush=True)
            idle = [sample(gst_launch, camera) for _ in range(ROUNDS)]
            show("bare gst-launch-1.0", [bare_cpu for bare_cpu, _ in idle])
            show("capture over it, no viewer", [cpu - bare_cpu for bare_cpu, cpu in idle])
            over = statistics.median(cpu - bare_cpu for bare_cpu, cpu in idle)
            for count in VIEWERS:
                calls = [f"c{number}" for number in range(count)]
                with viewers(site, token, DEVICE, calls) as watching:
                    wait_until("all see", lambda watching=watching: watching.all_see(60), 90)
                    watched = [sample(gst_launch, camera) for _ in range(ROUNDS)]
                    lost = sum(call["lost"] for call in watching.told.values())
                each = [(cpu - bare_cpu - over) / count for bare_cpu, cpu in watched]
                show(f"each of {count} viewers ({lost} packets lost)", each)
                wait_until("they are gone", lambda: not call_processes(camera))
                time.sleep(count)  # a person's calls are counted: see ucam.capture.calllimit


@contextlib.contextmanager
def bare() -> Iterator[int]:
    """gst-launch-1.0 with what capture's pipeline holds."""
    encoder = choose_encoder("auto", has_element, proves)
    text = launch_text(plan(VIDEO, ThisMachine()), VIDEO, encoder)
    text = text.replace(SINK, "fakesink sync=false")
    with subprocess.Popen(["gst-launch-1.0", "-q", *text.split()]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def sample(gst_launch: int, camera: int) -> tuple[float, float]:
    """CPU over the coming seconds in percent of a core: of the bare pipeline, and of the camera
    with its calls.
    """
    ours = [camera, call_host(camera), *call_processes(camera)]
    before = cpu_seconds(gst_launch), sum(map(cpu_seconds, ours))
    began_s = time.monotonic()
    time.sleep(SECONDS)
    after = cpu_seconds(gst_launch), sum(map(cpu_seconds, ours))
    seconds = time.monotonic() - began_s
    return 100 * (after[0] - before[0]) / seconds, 100 * (after[1] - before[1]) / seconds


def show(what: str, values: list[float]) -> None:
    """One line."""
    print(
        f"  {what:44} {statistics.median(values):6.2f}  ({min(values):.2f}, {max(values):.2f})",
        flush=True,
    )
