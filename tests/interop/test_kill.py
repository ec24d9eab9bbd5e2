"""`kill -9` of storage in mid-chunk: what is missing, and whether every file plays."""

import itertools
import subprocess
import time
from pathlib import Path

import pytest

from support.probe import decode_errors, packet_times_us
from support.site import Site, wait_until

pytestmark = pytest.mark.interop
RATE = 15
CAMERA = """source = "test"
width = 640
height = 360
framerate = 15
bitrate = "800kbit/s" """


def test_with_ucams_own_sender_nothing_is_missing(tmp_path: Path) -> None:
    site = Site(tmp_path, {"cam1": CAMERA}, chunk_size="20s")
    with site.running():
        for seconds in (4.3, 3.1):
            wait_until("a chunk is open", lambda: list(site.recordings.rglob("*.part")))
            time.sleep(seconds)
            site.storage.kill()
            site.storage.start()
        time.sleep(5)
    chunks = site.chunks("cam1")
    assert len(chunks) >= 3
    assert [decode_errors(chunk) for chunk in chunks] == [""] * len(chunks)
    times = [moment for chunk in chunks for moment in packet_times_us(chunk)]
    steps = [after - before for before, after in itertools.pairwise(times)]
    # Neither lost (a step of two frames) nor twice (no step at all).
    assert max(steps) < 1.5e6 / RATE
    assert min(steps) > 0.5e6 / RATE
    assert len(times) / RATE > 12
    assert site.fsck().returncode == 0, site.fsck().stdout


def test_with_another_sender_at_most_a_second_is_missing(tmp_path: Path) -> None:
    site = Site(tmp_path, {}, publishers=["push1"], chunk_size="60s")
    with site.running():
        token = site.token("push1@shop.loc")
        url = f"rtsps://127.0.0.1:{site.rtsps_port}/push1@shop.loc?token={token}"
        source = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25"]
        encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-tune", "zerolatency"]
        command = [*source, *encode, "-f", "rtsp", "-rtsp_transport", "tcp", url]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as ffmpeg:
            wait_until("a chunk is open", lambda: list(site.recordings.rglob("*.part")))
            time.sleep(5.5)
            killed_us = time.time_ns() // 1000
            site.storage.kill()
            ffmpeg.terminate()
        site.storage.start()
        (chunk,) = site.chunks("push1")
        assert decode_errors(chunk) == ""
        # A second in the fragment that was not whole, and what was on its way.
        assert killed_us - packet_times_us(chunk)[-1] < 1_500_000
        assert site.fsck().returncode == 0, site.fsck().stdout
