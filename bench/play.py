"""What a live stream's players cost storage, and how soon they see a picture.

One camera, 1080p30 at 4 Mbit/s, a keyframe each 4 s, over TLS, 1,400-byte packets.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.cost import measure
from bench.storage import SETTLE_S, make_clip, sending, ucam

READERS = 20
SECONDS = 10
OPENINGS = 5
# In a process of its own: the measured one is without FFmpeg.
FIRST_PICTURE = """
import sys, time, av
options = {"rtsp_transport": "tcp", "tls_verify": "0"}
began = time.monotonic()
with av.open(sys.argv[1], options=options, timeout=15) as stream:
    next(stream.decode(video=0))
print(time.monotonic() - began)
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", keyframes=120)
        with ucam(folder, 1) as (target, storage):
            seconds = SETTLE_S + 2 * SECONDS + 40
            with sending(clip, target, packet=1400, seconds=seconds):
                time.sleep(SETTLE_S + 2)
                alone = measure(target.pids, SECONDS)
                token = storage.tokens.issue("owner@shop.loc", "player")
                watched, told = with_readers(target.pids, f"{target.urls[0]} {token}")
                address = f"{target.urls[0]}?token={token}"
                with_group = [first_picture_s(address) for _ in range(OPENINGS)]
                without = [first_picture_s(f"{address}&gop=0") for _ in range(OPENINGS)]
    each = (watched - alone.cpu_percent) / READERS
    print(f"\n{READERS} players of one live stream of 4 Mbit/s, {SECONDS} s:")
    print(f"  a player costs storage                {each:6.2f} % of a core ({told})")
    print(f"  first picture in PyAV, median of {OPENINGS}  {statistics.median(with_group):6.2f} s")
    print(
        f"  without the current group (?gop=0)    {statistics.median(without):6.2f} s", flush=True
    )


def with_readers(pids: list[int], address: str) -> tuple[float, str]:
    """CPU with all of them in percent, and what they got."""
    command = [sys.executable, "-m", "bench.readers", str(READERS), str(SECONDS + 2)]
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
        watched = measure(pids, SECONDS)
        output, _ = process.communicate(timeout=30)
        if process.returncode:
            raise SystemExit("players were sent away")
    packets, missing = map(int, output.split())
    return watched.cpu_percent, f"{packets} packets each, {missing} missing"


def first_picture_s(address: str) -> float:
    """From the connection to the first decoded picture."""
    command = [sys.executable, "-c", FIRST_PICTURE, address]
    return float(subprocess.check_output(command, text=True))
