"""What `ucam capture` costs over a bare GStreamer pipeline of the same source and encoder, which
runs beside it; and on a Raspberry Pi 2's instruction set, counted.
"""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import armhf, pi2
from bench.cost import cpu_seconds, family, memory_mb
from bench.result import OURS, Plan, Plot, Point, Result, Row
from support.site import Site, wait_until
from ucam.base.units import Rate
from ucam.capture.config import Video
from ucam.capture.encoder import choose_encoder
from ucam.capture.gst import ThisMachine, has_element, proves
from ucam.capture.sources import SINK, launch_text, plan

CPU, OVER, MEMORY = "CPU, encoder included", "CPU over bare gst-launch", "memory"
BARE = "gst-launch-1.0, nothing sent"
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


def measure(how: Plan) -> Iterator[Row]:
    """Both side by side, then the counts."""
    with tempfile.TemporaryDirectory() as name, bare() as gst_launch:
        site = Site(Path(name), {"cam1": CAMERA}, chunk_size="20s")
        with site.running():
            camera = site.cameras["cam1"].pid
            wait_until("it records", lambda: list(site.recordings.rglob("*.part")))
            time.sleep(3)
            found = [sample(gst_launch, camera, how.seconds) for _ in range(how.runs)]
            memory = [
                (memory_mb(gst_launch), sum(map(memory_mb, family(camera))))
                for _ in range(how.runs)
            ]
    bares, ours = tuple(b for b, _ in found), tuple(o for _, o in found)
    yield Result(CPU, OURS, "% of a core", ours)
    yield Result(CPU, BARE, "% of a core", bares)
    over = tuple(o - b for b, o in found)
    yield Result(OVER, OURS, "% of a core", over, note="spool, RTP, TLS, room: of the same seconds")
    yield Result(MEMORY, OURS, "MB", tuple(o for _, o in memory))
    yield Result(MEMORY, BARE, "MB", tuple(b for b, _ in memory))
    yield from armhf.measure(how)
    yield from pi2.measure(how)


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


def sample(gst_launch: int, camera: int, seconds: float) -> tuple[float, float]:
    """CPU over the coming seconds in percent of a core: of the bare pipeline, and of the camera
    with its helpers.
    """
    ours = family(camera)
    before = cpu_seconds(gst_launch), sum(map(cpu_seconds, ours))
    began_s = time.monotonic()
    time.sleep(seconds)
    after = cpu_seconds(gst_launch), sum(map(cpu_seconds, ours))
    took_s = time.monotonic() - began_s
    return 100 * (after[0] - before[0]) / took_s, 100 * (after[1] - before[1]) / took_s


POINT = Point(
    "capture",
    "Capture",
    """640×360 noise, 30 a second, x264 at 2 Mbit/s. *Bare*: `gst-launch-1.0` with the same source,
    encoder and caps into a fakesink, which keeps and sends nothing; it runs in the same seconds, so
    both meet the same machine. A viewer's cost stands under Live. The instruction counts are of
    pipe, spool, RTP, TLS and asyncio alone (`bench/camera_side.py`: coded pictures of 720p30, 30 a
    second, to a real storage, and nobody watches), in user space, by `qemu-arm -cpu cortex-a7` with
    QEMU's own plugin `insn`, as the difference of two runs of different length, so that the start
    is not in it. The encoder of a Pi 2 is hardware. **The share of a Pi 2 is an estimate**: counts
    divided by its clock and an assumed 0.5 to 0.7 instructions a clock; the kernel's part is not in
    it.""",
    measure,
    (Plot(MEMORY, "Memory of a camera's processes", "bars"),),
)
