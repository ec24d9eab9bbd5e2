"""What it costs to take in what cameras could not send before: eight at ten times real time."""

import tempfile
from pathlib import Path

from bench.cost import measure
from bench.storage import make_clip, sending, stored, ucam

STREAMS = 8
SPEED = 10
SECONDS = 10


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        with ucam(folder, STREAMS) as (target, storage):
            with sending(clip, target, packet=60_000, seconds=SECONDS + 3, speed=SPEED) as sender:
                measured = measure(target.pids, SECONDS)
                sent, _ = sender.sent()
            kept = stored(storage)
    told = "every one stored" if kept == sent else f"{sent - kept} LOST"
    print(f"\n{STREAMS} cameras catch up at {SPEED} times 4 Mbit/s, {SECONDS} s:")
    print(
        f"  {measured.cpu_percent:.1f} % of a core, {measured.memory_mb:.0f} MB;"
        f" {sent} pictures, {told}",
        flush=True,
    )
