"""Players that we did not write play a live stream from storage."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess, push
from support.site import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.matrix]

ENOUGH = 60_000  # bytes of a transport stream: some seconds

# FFmpeg's own library from Python, as OpenCV and Home Assistant use it.
PYAV = """
import sys, av
options = {"rtsp_transport": "tcp", "tls_verify": "0"}
with av.open(sys.argv[1], options=options, timeout=10) as stream:
    for count, picture in enumerate(stream.decode(video=0), 1):
        assert not picture.is_corrupt
        if count == 50:
            break
print(count)
"""

# OpenCV compares with what storage wrote: the first picture is that of the only keyframe.
OPENCV = """
import sys, cv2, numpy
recorded = cv2.VideoCapture(sys.argv[2])
_, wanted = recorded.read()
stream = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG)
seen, first = stream.read()
count = 0
while seen and count < 50:
    count += 1
    seen, _ = stream.read()
print(count, first is not None and numpy.array_equal(first, wanted))
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageProcess]:
    folder = tmp_path_factory.mktemp("storage")
    found = StorageProcess(folder, Tokens(folder), chunk_size="4s")
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def camera(storage: StorageProcess) -> Iterator[None]:
    """A camera that goes on for long enough."""
    publisher = push(storage, 100_000)
    wait_until("the first keyframe's group is there", storage.chunks)
    yield
    publisher.kill()
    publisher.communicate()


def camera_sends(storage: StorageProcess) -> subprocess.Popen[bytes]:
    """Without B-frames: their decode times aren't in RTP, and copies then have none."""
    source = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
    encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"]
    sink = ["-f", "rtsp", "-rtsp_transport", "tcp", storage.url()]
    return subprocess.Popen([*source, *encoder, *sink], stderr=subprocess.DEVNULL)


def url(storage: StorageProcess, options: str = "", role: str = "player", jid: str = CAMERA) -> str:
    return storage.url(storage.tokens.issue("owner@shop.loc", role), jid) + options


def ffmpeg(address: str) -> list[str]:
    source = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", address]
    return [*source, "-fps_mode", "passthrough"]


def pictures(address: str, seconds: float = 2) -> tuple[int, str]:
    """How many pictures ffmpeg decodes, and what it complains about."""
    command = [*ffmpeg(address), "-t", str(seconds), "-f", "framemd5", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return sum(1 for line in done.stdout.splitlines() if not line.startswith("#")), done.stderr


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize("role", ["user", "player"])
def test_ffmpeg_plays_from_the_newest_keyframe(storage: StorageProcess, role: str) -> None:
    count, complaints = pictures(url(storage, role=role))
    assert count >= 48
    assert complaints == ""


@pytest.mark.usefixtures("camera")
def test_without_the_group_it_begins_at_the_next_keyframe(storage: StorageProcess) -> None:
    count, complaints = pictures(url(storage, "&gop=0"))
    assert count >= 48
    assert complaints == ""


@pytest.mark.usefixtures("camera")
def test_pyav_plays(storage: StorageProcess) -> None:
    command = [sys.executable, "-c", PYAV, url(storage)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("50", 0), done.stderr


def test_opencv_begins_with_the_cached_group(storage: StorageProcess) -> None:
    """The camera sends one keyframe and never again: nobody shows anything who hasn't got that."""
    jid = "once@studio.loc"
    camera = push(storage, 100_000, jid=jid, keyframes=100_000)
    try:
        written = wait_until(
            "a second is written",
            lambda: [
                path
                for path in (storage.root / "studio" / jid).rglob("*.part")
                if path.stat().st_size > 20_000
            ],
        )
        command = [sys.executable, "-c", OPENCV, url(storage, jid=jid), str(written[0])]
        options = {**os.environ, "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|tls_verify;0"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=options
        )
    finally:
        camera.kill()
        camera.communicate()
    assert (done.stdout.strip(), done.returncode) == ("50 True", 0), done.stderr


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize("password", [False, True])
def test_gstreamer_plays(storage: StorageProcess, tmp_path: Path, password: bool) -> None:
    """The token in the query, and as the password that belongs to Basic."""
    if password:
        token = storage.tokens.issue("owner@shop.loc", "player")
        source = f"rtspsrc location=rtsps://127.0.0.1:{storage.port}/{CAMERA} user-id=x"
        source += f" user-pw={token}"
    else:
        source = f"rtspsrc location={url(storage)}"
    source += " protocols=tcp tls-validation-flags=0"
    decode = "rtph264depay ! h264parse ! openh264dec ! identity eos-after=51"
    sink = f"filesink location={tmp_path}/pictures.i420"
    command = ["gst-launch-1.0", "-q", *f"{source} ! {decode} ! {sink}".split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    size = (tmp_path / "pictures.i420").stat().st_size
    assert divmod(size, 320 * 240 * 3 // 2) == (52, 0)


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize(
    ("jid", "sub", "role", "loc"),
    [
        (CAMERA, "owner@shop.loc", "user", ("shop",)),
        ("cam002@studio.loc", "owner@shop.loc", "user", ("studio",)),
        (CAMERA, "cam002@studio.loc", "device", ("studio",)),
        ("nobody", "owner@shop.loc", "user", ("studio",)),
    ],
)
def test_what_is_forbidden_looks_like_what_is_absent(
    storage: StorageProcess, jid: str, sub: str, role: str, loc: tuple[str, ...]
) -> None:
    address = storage.url(storage.tokens.issue(sub, role, loc), jid)
    command = [*ffmpeg(address), "-t", "1", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "404 Not Found" in done.stderr or "404 Not found" in done.stderr


def test_a_camera_that_comes_back_goes_on_for_its_players(tmp_path: Path) -> None:
    """Other SSRC, sequence numbers and time stamps: the player notices nothing but the pause."""
    storage = StorageProcess(tmp_path, Tokens(tmp_path), chunk_size="4s")
    storage.start()
    copy = tmp_path / "seen.ts"  # a transport stream, for ffmpeg writes it as it comes
    with camera_sends(storage) as first:
        wait_until("recording", lambda: list(storage.root.rglob("*.part")))
        player = subprocess.Popen(
            [*ffmpeg(url(storage)), "-c", "copy", "-flush_packets", "1", str(copy)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until("it is played", lambda: copy.exists() and copy.stat().st_size > ENOUGH)
        first.terminate()
    wait_until("it is away", lambda: not list(storage.root.rglob("*.part")))
    time.sleep(0.5)  # and stays away for long enough to be seen
    before = copy.stat().st_size
    with camera_sends(storage) as second:
        wait_until("it is played again", lambda: copy.stat().st_size > before + ENOUGH)
        _, complaints = player.communicate("q", timeout=60)
        second.kill()
    storage.stop()
    assert (player.returncode, complaints) == (0, "")
    times = subprocess.check_output(
        ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", copy],
        text=True,
    )
    seconds = sorted(float(line) for line in times.replace(",", "").split())
    gaps = [after - before for before, after in itertools.pairwise(seconds)]
    pauses = [number for number, gap in enumerate(gaps, 1) if gap > 0.25]
    assert len(pauses) == 1, "one pause, while it was away"
    assert 10 < pauses[0] < len(seconds) - 10
