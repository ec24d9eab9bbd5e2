"""`ucam storage` as the benchmarks run it, and the generator that sends to it."""

import contextlib
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cost import Cost, measure
from storage.helpers import Tokens
from storage.process import StorageProcess
from ucam.media.scan import scan

warnings.filterwarnings("ignore", message="EdDSA is deprecated")
SETTLE_S = 3


def make_clip(path: Path, keyframes: int = 30, bitrate: str = "4M") -> Path:
    """8 s of noisy 1080p30, a keyframe every so many pictures, no B-frames."""
    source = "testsrc2=size=1920x1080:rate=30:duration=8,noise=alls=12:allf=t,format=yuv420p"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    rate = ["-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate]
    rate += ["-g", str(keyframes), "-bf", "0"]
    subprocess.run([*command, "-preset", "ultrafast", *rate, str(path)], check=True)
    return path


@dataclass(frozen=True, slots=True)
class Target:
    """A server's processes, and where its streams go."""

    pids: list[int]
    urls: list[str]
    tokens: list[str]


@contextlib.contextmanager
def ucam(
    folder: Path, streams: int, maxspace: str = "500GB"
) -> Iterator[tuple[Target, StorageProcess]]:
    """A storage that stands alone; it ends in good order."""
    storage = StorageProcess(folder, Tokens(folder), chunk_size="60s", maxspace=maxspace)
    storage.start()
    jids = [f"cam{number}@studio.loc" for number in range(streams)]
    base = f"rtsps://127.0.0.1:{storage.port}"
    try:
        yield (
            Target(
                [storage.pid],
                [f"{base}/{jid}" for jid in jids],
                [storage.tokens.issue(jid, life_s=86_400) for jid in jids],
            ),
            storage,
        )
    finally:
        storage.stop()


@dataclass(frozen=True, slots=True)
class Sending:
    """The generator while it sends."""

    process: "subprocess.Popen[str]"

    def sent(self) -> tuple[int, float]:
        """Wait for its end; how many access units it has sent, and the 99th percentile of how old
        the newest durable one was, in seconds.
        """
        output, _ = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise SystemExit(f"the generator ended with {self.process.returncode}")
        counts, age_s = output.splitlines()
        return sum(map(int, counts.split())), float(age_s)


@contextlib.contextmanager
def sending(
    clip: Path, target: Target, *, packet: int, seconds: float, speed: float = 1
) -> Iterator[Sending]:
    """The generator; all streams are being recorded when this begins."""
    command = [sys.executable, "-m", "bench.generator", str(clip), str(packet), str(speed)]
    with subprocess.Popen(
        [*command, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            "".join(f"{u} {t}\n" for u, t in zip(target.urls, target.tokens, strict=True))
        )
        process.stdin.close()
        process.stdin = None
        try:
            if process.stdout.readline().strip() != "recording":
                raise SystemExit("publishers were turned away")
            yield Sending(process)
        finally:
            process.kill()


def cost(target: Target, seconds: float) -> Cost:
    """What the server costs, once it is running smoothly."""
    time.sleep(SETTLE_S)
    return measure(target.pids, seconds)


def stored(storage: StorageProcess) -> int:
    """How many access units the closed files hold."""
    deadline = time.monotonic() + 20
    while list(storage.root.rglob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.1)
    total = 0
    for path in storage.root.rglob("*.mp4"):
        total += sum(int(fragment.samples) for fragment in scan(path.read_bytes()).fragments)
    return total
