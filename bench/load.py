"""A full house: 64 streams of 2 Mbit/s into one storage, sent from the same cores.

    python -m bench load      UCAM_LOAD_S: how long (300), UCAM_LOAD_STREAMS: how many (64)

Fails when a picture is lost, when the slowest hundredth takes longer than 2 s from being sent to
being confirmed as durable, or when storage takes more than a core. Space is scarce: it rotates.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from bench.cost import Cost, measure
from bench.storage import Target, make_clip, ucam
from storage.process import StorageProcess
from ucam.storage.database import Database
from ucam.storage.layout import INDEX

SECONDS = int(os.environ.get("UCAM_LOAD_S", "300"))
STREAMS = int(os.environ.get("UCAM_LOAD_STREAMS", "64"))
MOST_P99_S = 2.0
MOST_CPU_PERCENT = 100
MAXSPACE = "3GB"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender says: of each stream how many pictures; seconds until they were durable."""

    pictures: list[int]
    p50_s: float
    p99_s: float
    most_s: float


def main() -> None:
    """Measure, print, and end with a fault when something isn't as it must be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", rate="2M")
        with ucam(folder, STREAMS, maxspace=MAXSPACE) as (target, storage):
            measured, sent = _send(clip, target)
        lost = lost_pictures(storage, target, sent.pictures)
        checked = storage.fsck()
    print(
        f"\n{STREAMS} streams of 2 Mbit/s for {SECONDS} s: {sum(sent.pictures):,} pictures,"
        f" {lost} lost; durable after {sent.p50_s:.2f} s (median), {sent.p99_s:.2f} s (p99),"
        f" {sent.most_s:.2f} s (most); storage {measured.cpu_percent:.0f} % of a core,"
        f" {measured.memory_mb:.0f} MB; fsck {checked.returncode}"
    )
    faults = {
        "pictures are lost": lost > 0,
        "durable too late": sent.p99_s > MOST_P99_S,
        "more than a core": measured.cpu_percent > MOST_CPU_PERCENT,
        checked.stdout: checked.returncode != 0,
    }
    if found := [text for text, is_so in faults.items() if is_so]:
        raise SystemExit("; ".join(found))


def _send(clip: Path, target: Target) -> tuple[Cost, Sent]:
    command = [sys.executable, "-m", "bench.load_sender", str(clip), str(SECONDS)]
    lines = [f"{url} {token}" for url, token in zip(target.urls, target.tokens, strict=True)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        sender.stdin.write("\n".join(lines))
        sender.stdin.close()
        sender.stdin = None
        try:
            if sender.stdout.readline().strip() != "recording":
                raise SystemExit("publishers were turned away")
            measured = measure(target.pids, SECONDS - 1)
            output, _ = sender.communicate(timeout=SECONDS + 60)
        finally:
            sender.kill()
    return measured, Sent(**json.loads(output))


def lost_pictures(storage: StorageProcess, target: Target, sent: list[int]) -> int:
    """How many numbers are missing between the oldest that rotation left and the last one sent."""
    database = Database(storage.root / INDEX)
    try:
        rows = sorted(database.all_chunks(), key=lambda chunk: (chunk.run, chunk.id))
    finally:
        database.close()
    kept = {run: list(chunks) for run, chunks in groupby(rows, key=lambda chunk: chunk.run)}
    lost = 0
    for number, pictures in enumerate(sent):
        chunks = kept.get(f"bench{number}", [])
        lost += sum(
            after.first_number - before.last_number - 1 for before, after in pairwise(chunks)
        )
        lost += pictures - 1 - chunks[-1].last_number if chunks else pictures
    return lost
