"""A camera that hangs keeps nothing: its run ends, the connection is freed, the gap says why."""

import signal
import time
from pathlib import Path

import pytest

from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess, push
from support.site import wait_until
from ucam.storage.database import Database
from ucam.storage.layout import INDEX, Place

pytestmark = [pytest.mark.interop, pytest.mark.matrix]


def sizes(storage: StorageProcess) -> int:
    return sum(path.stat().st_size for path in storage.root.rglob("*.part"))


def test_ten_seconds_of_silence_end_a_run(tmp_path: Path) -> None:
    storage = StorageProcess(tmp_path, Tokens(tmp_path), chunk_size="60s")
    storage.start()
    camera = push(storage, 1000)
    try:
        wait_until("something is recorded", lambda: sizes(storage) > 50_000)
        # Its socket stays open, as that of a camera whose cable was cut.
        camera.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        wait_until("the chunk is closed", storage.chunks, 60)
        assert time.monotonic() - stopped_s > 9
        assert "ended: the camera sent nothing for 10 s" in storage.log.read_text()
    finally:
        camera.kill()
        camera.communicate()
    again = push(storage, 50)
    again.communicate(timeout=60)
    wait_until("both are closed", lambda: len(storage.chunks()) == 2)
    storage.stop()
    database = Database(storage.root / INDEX)
    reasons = [gap.reason for gap in database.gaps(Place("studio", CAMERA), 0, 1 << 60)]
    database.close()
    assert reasons == ["the camera sent nothing for 10 s"]
