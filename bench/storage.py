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
from bench.result import Plan
from storage.helpers import Tokens
from storage.process import StorageProcess
from ucam.media.scan import scan

warnings.filterwarnings("ignore", message="EdDSA is deprecated")
SETTLE_S = 3
TOKEN_S = 6 * 3600  # longer than any measurement
ASKING_S = 0.01


class TurnedAway(SystemExit):
    """A server lets not all publishers in; what the first one heard stands above."""


def make_clip(
    path: Path, keyframes: int = 30, *, size: str = "1920x1080", rate: str = "4M"
) -> Path:
    """8 s of noisy video, 30 a second, a keyframe every so many pictures, no B-frames."""
    source = f"testsrc2=size={size}:rate=30:duration=8,noise=alls=12:allf=t,format=yuv420p"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    limits = ["-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", str(keyframes), "-bf", "0"]
    subprocess.run([*command, "-preset", "ultrafast", *limits, str(path)], check=True)
    return path


@dataclass(frozen=True, slots=True)
class Target:
    """A server's processes, and where its streams go."""

    pids: list[int]
    urls: list[str]
    tokens: list[str]


class Unsynced(StorageProcess):
    """A storage whose files the kernel writes when it likes: `bench.unsynced`."""

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "bench.unsynced", name, "--config", str(self.config)]


@contextlib.contextmanager
def ucam(
    folder: Path,
    streams: int,
    *,
    under: tuple[str, ...] = (),
    synced: bool = True,
    **keys: str,
) -> Iterator[tuple[Target, StorageProcess]]:
    """A storage that stands alone, below the command `under`; it ends in good order.
    `keys`: of its [storage].
    """
    kind = StorageProcess if synced else Unsynced
    storage = kind(
        folder, Tokens(folder), root=None, under=under, port=0, **{"chunk_size": "60s", **keys}
    )
    # qemu may be in between.
    storage.start(within_s=300 if under else 60)
    jids = [f"cam{number}@studio.loc" for number in range(streams)]
    base = f"rtsps://127.0.0.1:{storage.port}"
    try:
        yield (
            Target(
                [storage.pid],
                [f"{base}/{jid}" for jid in jids],
                [storage.tokens.issue(jid, life_s=TOKEN_S) for jid in jids],
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
        """Wait for its end; how many access units it has sent, and how late (s) the latest was."""
        output, _ = self.process.communicate(timeout=600)
        if self.process.returncode:
            raise SystemExit(f"the generator ended with {self.process.returncode}")
        sent, late = output.splitlines()
        return sum(map(int, sent.split())), float(late)


@contextlib.contextmanager
def sending(
    clip: Path,
    target: Target,
    *,
    packet: int,
    seconds: float,
    speed: float = 1,
    chacha: bool = False,
) -> Iterator[Sending]:
    """The generator; all streams are being recorded when this begins. `chacha`: it takes that
    cipher, as cameras without AES do.
    """
    command = [sys.executable, "-m", "bench.generator", str(clip), str(packet), str(speed)]
    cipher = ["chacha"] if chacha else []
    with subprocess.Popen(
        [*command, str(seconds), *cipher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
                raise TurnedAway("not all of them were let in")
            yield Sending(process)
        finally:
            process.kill()


def costs(target: Target, plan: Plan) -> list[Cost]:
    """What the server costs, again and again, once it is running smoothly."""
    time.sleep(SETTLE_S)
    return [measure(target.pids, plan.seconds) for _ in range(plan.runs)]


def sending_s(plan: Plan, processes: int = 1) -> float:
    """How long to send for `costs` of so many: asking for their memory takes its time, too."""
    return SETTLE_S + plan.runs * (plan.seconds + ASKING_S * processes) + 2


def stored(storage: StorageProcess) -> int:
    """How many access units the closed files hold."""
    deadline = time.monotonic() + 60
    while list(storage.root.rglob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.1)
    total = 0
    for path in storage.root.rglob("*.mp4"):
        total += sum(int(fragment.samples) for fragment in scan(path.read_bytes()).fragments)
    return total
