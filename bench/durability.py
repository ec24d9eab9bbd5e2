"""What it costs that a power cut loses nothing: files synced every second against never."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.result import OURS, Plan, Plot, Point, Result, Row
from bench.storage import costs, make_clip, sending, sending_s, ucam

CPU, WRITTEN = "CPU a stream", "written to the disk"
STREAMS = 40
UNSYNCED = "ucam, not synced"


def measure(plan: Plan) -> Iterator[Row]:
    """Both, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        for who, synced in ((OURS, True), (UNSYNCED, False)):
            place = folder / "storage"
            place.mkdir()
            with ucam(place, STREAMS, synced=synced) as (target, _):
                seconds = sending_s(plan)
                with sending(clip, target, packet=60_000, seconds=seconds) as sender:
                    began_s, before_mb = time.monotonic(), written(target.pids[0])
                    found = costs(target, plan)
                    written_mb = written(target.pids[0]) - before_mb
                    rate = written_mb / (time.monotonic() - began_s)
                    sender.sent()
            shutil.rmtree(place)
            cpu = tuple(each.cpu_percent / STREAMS for each in found)
            yield Result(CPU, who, "% of a core", cpu)
            yield Result(WRITTEN, who, "MB a second", (rate,))


def written(pid: int) -> float:
    """Megabytes that a process has made the disk write (or will, of what isn't synced)."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1]) / 1e6
    raise ProcessLookupError(pid)


POINT = Point(
    "durability",
    "The price of durability",
    f"""{STREAMS} streams of 4 Mbit/s into `ucam storage`. *ucam* syncs each stream's file every
    second, and tells the camera only then that it may forget. *Not synced* is the same program
    with `fdatasync` and `fsync` taken out (`bench/unsynced.py`); the index's own syncs, one or
    two a minute and camera, stay. What the disk itself does is in nobody's CPU.""",
    measure,
    (Plot(CPU, "Recording, synced every second and never", "bars"),),
)
