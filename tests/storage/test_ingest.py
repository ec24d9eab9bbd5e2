"""The real service as a process, with publishers that we did not write."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from media.clips import frame_md5
from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess, push
from ucam.storage.database import Database
from ucam.storage.layout import INDEX, Place

pytestmark = pytest.mark.interop


@pytest.fixture
def storage(tmp_path: Path, tokens: Tokens) -> Iterator[StorageProcess]:
    found = StorageProcess(tmp_path, tokens, chunk_size="2s")
    found.start()
    yield found
    found.stop()


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finished(process: subprocess.Popen[bytes]) -> str:
    _, errors = process.communicate(timeout=40)
    return errors.decode()


def test_ffmpeg_pushes_and_each_picture_is_there(storage: StorageProcess) -> None:
    publisher = push(storage, 130)
    assert finished(publisher) == ""
    until(lambda: "'TEARDOWN'" in storage.log.read_text())
    storage.stop()
    assert sum(len(frame_md5(chunk)) for chunk in storage.chunks()) == 130
    assert len(storage.chunks()) >= 3
    check = storage.fsck()
    assert check.returncode == 0, check.stdout + storage.log.read_text()
    assert "token" not in storage.log.read_text().replace("the token", "")


@pytest.mark.parametrize(
    ("sub", "role", "loc"),
    [
        ("cam002@studio.loc", "device", ("studio",)),
        (CAMERA, "user", ("studio",)),
        (CAMERA, "device", ("shop",)),
    ],
)
def test_a_token_that_is_not_right_is_refused(
    storage: StorageProcess, sub: str, role: str, loc: tuple[str, ...]
) -> None:
    token = storage.tokens.issue(sub, role, loc)
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
    command += ["-frames:v", "5", "-c:v", "libx264", "-f", "rtsp", "-rtsp_transport", "tcp"]
    done = subprocess.run([*command, storage.url(token)], capture_output=True, check=False)
    assert done.returncode != 0
    assert b"403" in done.stderr
    assert not list(storage.root.rglob("*.part"))
    assert not storage.chunks()


def test_killed_in_mid_chunk_at_most_a_second_is_missing(tmp_path: Path, tokens: Tokens) -> None:
    storage = StorageProcess(tmp_path, tokens, chunk_size="60s")
    storage.start()
    publisher = push(storage, 1000)
    try:
        until(lambda: list(storage.root.rglob("*.part")))
        time.sleep(2.6)
        killed_us = time.time_ns() // 1000
        storage.kill()
    finally:
        publisher.kill()
        publisher.communicate()
    storage.start()
    (chunk,) = storage.chunks()
    assert not list(storage.root.rglob("*.part"))
    assert len(frame_md5(chunk)) >= 25
    storage.stop()
    database = Database(storage.root / INDEX)
    end_us = database.end_us(Place("studio", CAMERA))
    database.close()
    assert end_us is not None
    # A second in the fragment that was not whole, and the encoder's delay.
    assert killed_us - end_us < 1_400_000
    check = storage.fsck()
    assert check.returncode == 0, check.stdout


def test_maxspace_is_never_crossed(tmp_path: Path, tokens: Tokens) -> None:
    """Sixty seconds would be far more than it: the chunk is cut earlier."""
    storage = StorageProcess(tmp_path, tokens, chunk_size="60s", maxspace="4MB")
    storage.start()
    # Noise can't be compressed: half a megabyte a second.
    publisher = push(storage, 200, options=",noise=alls=60:allf=t", qp=38)
    sizes = []
    while publisher.poll() is None:
        size = 0
        for path in storage.root.rglob("*"):
            try:
                size += path.stat().st_size
            except FileNotFoundError:
                continue
        sizes.append(size)
        time.sleep(0.05)
    assert finished(publisher) == ""
    until(lambda: not list(storage.root.rglob("*.part")))
    storage.stop()
    assert max(sizes) <= 4_000_000
    assert max(sizes) > 2_000_000
    check = storage.fsck()
    assert check.returncode == 0, check.stdout
    for chunk in storage.chunks():
        assert frame_md5(chunk)


def test_two_storages_do_not_share_a_folder(storage: StorageProcess) -> None:
    done = subprocess.run(
        storage.command("storage"), capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 1
    assert "in use by another" in done.stderr
