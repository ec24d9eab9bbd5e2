"""What recording six cameras would take of a Raspberry Pi 2: an estimate from instruction counts.

`ucam storage` under qemu-x86_64, on a processor without AES, AVX or SSSE3, so that its ciphers are
as slow as a Pi 2's; what a 32-bit Arm would execute is of the same order, not the same.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import insn
from bench.armhf import IPC, PI2_HZ
from bench.result import OURS, Missing, Plan, Result, Row
from bench.storage import SETTLE_S, make_clip, sending, ucam

INSTRUCTIONS = "instructions an access unit, storage, 4 Mbit/s, TLS (x86-64)"
SHARE = "estimated share of a Pi 2 (four cores), six streams of 1080p30"
STREAMS, RATE, CORES = 6, 30, 4
SHORT_S, LONG_S = 4, 12


def measure(plan: Plan) -> Iterator[Row]:
    """The count, and what it would be of a Pi 2."""
    if shutil.which("qemu-x86_64") is None:
        yield Missing(INSTRUCTIONS, "It needs qemu-x86_64, which isn't installed.")
        return
    library = insn.plugin()
    if isinstance(library, str):
        yield Missing(INSTRUCTIONS, library)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        counted = []
        short = _count(folder, clip, library, SHORT_S)
        for _ in range(plan.pick(full=plan.runs, quick=1)):
            long = _count(folder, clip, library, LONG_S)
            counted.append((long[0] - short[0]) / (long[1] - short[1]))
        kernel = _kernel_share(folder, clip, plan.seconds)
    note = "counted by qemu-x86_64 without AES, ChaCha20, user space alone"
    yield Result(INSTRUCTIONS, OURS, "instructions", tuple(counted), note=note)
    a_second = sorted(counted)[len(counted) // 2] * STREAMS * RATE * (1 + kernel)
    shares = tuple(100 * a_second / (PI2_HZ * CORES * ipc) for ipc in IPC)
    note = (
        f"an estimate: as above, and {100 * kernel:.0f} % on top for the kernel, as here;"
        " Moonfire NVR says: under 10 %, without TLS"
    )
    yield Result(SHARE, OURS, "%", shares, note=note)


def _count(folder: Path, clip: Path, library: Path, seconds: int) -> tuple[int, int]:
    """Instructions from start to end, and access units recorded."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        told = place / "instructions"
        under = ("qemu-x86_64", "-cpu", "qemu64", *insn.options(library, told))
        with (
            ucam(place, STREAMS, under=under) as (target, _),
            sending(clip, target, packet=60_000, seconds=seconds, chacha=True) as sender,
        ):
            sent, _ = sender.sent()
        return insn.total(told), sent


def _kernel_share(folder: Path, clip: Path, seconds: float) -> float:
    """System time for each second of user time, without qemu."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        with ucam(Path(name), STREAMS) as (target, _):
            whole = SETTLE_S + 3 * seconds
            with sending(clip, target, packet=60_000, seconds=whole + 1, chacha=True) as sender:
                time.sleep(SETTLE_S)
                before = _times(target.pids[0])
                time.sleep(3 * seconds)
                user, system = (b - a for a, b in zip(before, _times(target.pids[0]), strict=True))
                sender.sent()
        return system / user


def _times(pid: int) -> tuple[int, int]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])
