"""An IP camera that we did not write: what it codes is in storage's files bit for bit."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from support.probe import coded_hashes, decode_errors, frame_count
from support.site import Site, wait_until

pytestmark = pytest.mark.interop
SERVER = Path(__file__).parents[1] / "capture" / "rtsp_camera.py"
SECONDS, RATE = 4, 25
ENCODERS = {
    # As encoders come: with B-frames, and with several slices a picture.
    "h264": ["libx264", "-preset", "veryfast", "-x264-params", "slices=2:log-level=none"],
    "h265": ["libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1"],
}


def clip(path: Path, codec: str) -> Path:
    """A keyframe each second; each picture differs from all others."""
    source = f"testsrc2=size=640x360:rate={RATE}:duration={SECONDS}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"]
    subprocess.run([*command, "-g", str(RATE), "-c:v", *ENCODERS[codec], str(path)], check=True)
    return path


@contextlib.contextmanager
def ip_camera(codec: str, path: Path) -> Iterator[str]:
    """Its address; each connection gets the clip from its beginning, in real time."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER), codec, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"rtsp://127.0.0.1:{int(process.stdout.readline())}/live"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_frames_are_bit_identical_in_storage(codec: str, tmp_path: Path) -> None:
    source = clip(tmp_path / "source.mp4", codec)
    with ip_camera(codec, source) as url:
        site = Site(tmp_path, {"cam1": f'source = "{url}"'})
        with site.running():
            # The clip ends, the camera is connected anew, and the clip begins again.
            wait_until("a run has ended", lambda: site.chunks("cam1"), 60)
            wait_until("another has begun", lambda: list(site.recordings.rglob("*.part")), 60)
            wait_until("and has ended", lambda: len(site.chunks("cam1")) > 1, 60)
        check = site.fsck()
    assert check.returncode == 0, check.stdout + check.stderr
    wanted = coded_hashes(source)
    assert len(set(wanted)) == len(wanted) == SECONDS * RATE
    stored = [picture for chunk in site.chunks("cam1") for picture in coded_hashes(chunk)]
    assert [decode_errors(chunk) for chunk in site.chunks("cam1")] == [""] * len(
        site.chunks("cam1")
    )
    passes = split_at(stored, wanted[0])
    assert len(passes) >= 2
    for number, found in enumerate(passes):
        # The last one was cut off by the end of the test.
        assert found == (wanted if number < len(passes) - 1 else wanted[: len(found)])


def split_at(hashes: list[str], first: str) -> list[list[str]]:
    """The list in parts that each begin with `first`."""
    count = 0

    def part(each: str) -> int:
        nonlocal count
        count += each == first
        return count

    return [list(group) for _, group in groupby(hashes, part)]


def test_another_size_in_mid_stream_begins_a_new_chunk(tmp_path: Path) -> None:
    def part(count: int, width: int) -> str:
        caps = f"video/x-raw,width={width},height=180,framerate=15/1"
        source = f"videotestsrc is-live=true num-buffers={count} ! {caps}"
        return f"{source} ! x264enc tune=zerolatency key-int-max=15 ! both."

    launch = f"concat name=both  {part(45, 320)}  {part(1000, 160)}  both. ! h264parse"
    site = Site(tmp_path, {"cam1": f'source = "gst:{launch}"'})
    with site.running():
        wait_until("the first size is closed", lambda: site.chunks("cam1"), 40)
        wait_until("the second is kept", lambda: growing(site), 40)
    check = site.fsck()
    assert check.returncode == 0, check.stdout + check.stderr
    first, second, *rest = site.chunks("cam1")
    assert not rest
    assert (size(first), size(second)) == ("320,180", "160,180")
    assert frame_count(first) == 45
    assert decode_errors(first) == decode_errors(second) == ""
    log = site.cameras["cam1"].log.read_text()
    assert "ucam.capture.feed" not in log, "the source was never built anew"


def growing(site: Site) -> bool:
    return any(path.stat().st_size > 20_000 for path in site.recordings.rglob("*.part"))


def size(path: Path) -> str:
    entries = ["-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    return subprocess.check_output(
        ["ffprobe", "-v", "error", *entries, str(path)], text=True
    ).strip()
