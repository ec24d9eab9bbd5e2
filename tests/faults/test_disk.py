"""A real storage on disks that really fail: a small tmpfs filled by a stranger, injected EIO."""

import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from faults.disk import filled, small_disk
from media.clips import frame_md5
from storage.helpers import Tokens
from storage.process import StorageProcess, push
from ucam.storage.database import Database
from ucam.storage.layout import INDEX
from ucam.storage.records import Chunk

pytestmark = [pytest.mark.interop, pytest.mark.matrix]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


def rows(root: Path) -> list[Chunk]:
    database = Database(root / INDEX)
    try:
        return list(database.all_chunks())
    finally:
        database.close()


def assert_whole(storage: StorageProcess, least: int) -> list[Chunk]:
    """fsck and verify find nothing, files hold what their rows say, no number is missing."""
    checked = storage.fsck()
    assert checked.returncode == 0, checked.stdout + storage.log.read_text()
    sealed = storage.verify()
    assert sealed.returncode == 0, sealed.stdout + storage.log.read_text()
    assert "everything is as it was recorded" in sealed.stdout
    kept = rows(storage.root)
    for chunk, path in zip(kept, storage.chunks(), strict=True):
        assert len(frame_md5(path)) == chunk.last_number - chunk.first_number + 1
    for before, after in pairwise(kept):
        assert after.first_number == before.last_number + 1
    assert kept[-1].last_number - kept[0].first_number + 1 >= least
    return kept


def run_out(publisher: subprocess.Popen[bytes]) -> None:
    """Let ffmpeg send to its end."""
    _, errors = publisher.communicate(timeout=120)
    assert publisher.returncode == 0, errors


def test_a_disk_filled_by_a_strangers_file(tmp_path: Path, tokens: Tokens) -> None:
    """Full at once, not through us: it is told, and recording goes on when it isn't."""
    with small_disk(tmp_path / "small", 12) as disk:
        storage = StorageProcess(tmp_path, tokens, root=disk / "chunks", chunk_size="2s")
        storage.start()
        try:
            publisher = push(storage, 350)
            until(storage.chunks)
            with filled(disk):
                until(lambda: "can't be recorded" in storage.log.read_text())
                time.sleep(2)
            until(lambda: "is being recorded again" in storage.log.read_text())
            run_out(publisher)
        finally:
            storage.stop()
        # Rotation took what was closed before the disk was full; nothing is missing after that.
        assert_whole(storage, 250)


def test_a_sync_that_fails_in_a_running_storage(tmp_path: Path, tokens: Tokens) -> None:
    """Every seventh sync of each thread fails, the index's own included."""
    trace = tmp_path / "strace"
    strace = ["strace", "-D", "-f", "-qq", "-o", str(trace), "-e", "trace=fdatasync"]
    inject = "inject=fdatasync:error=EIO:when=12+7"
    storage = StorageProcess(
        tmp_path, tokens, under=(*strace, "-e", inject), chunk_size="3s", maxspace="200MB"
    )
    storage.start()
    try:
        publisher = push(storage, 300)
        # A start has eleven; then comes what is being written.
        until(lambda: trace.read_text().count("INJECTED") >= 2)
        until(lambda: "can't be recorded" in storage.log.read_text())
        run_out(publisher)
    finally:
        storage.stop()
    assert trace.read_text().count("INJECTED") >= 3
    assert "restart" not in storage.log.read_text()
    kept = assert_whole(storage, 290)
    assert (kept[0].first_number, kept[-1].last_number) == (0, 299)
