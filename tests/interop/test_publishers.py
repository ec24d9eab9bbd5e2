"""Programs that we did not write push to storage; ffprobe counts what arrived."""

import subprocess
from pathlib import Path

import pytest

from support.probe import decode_errors, frame_count, picture_hashes
from support.site import Site, wait_until

pytestmark = pytest.mark.interop
SECONDS = 20
RATE = 25
# rtspclientsink 1.22 now and then waits for ever in its own sending thread (of 40 that sent to
# gst-rtsp-server two did, and eight ended with an error): then another one tries.
GSTREAMERS = ["push2", "push3", "push4"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(
        tmp_path_factory.mktemp("site"), {}, publishers=["push1", *GSTREAMERS], chunk_size="8s"
    )


def clip(path: Path) -> Path:
    """20 s of H.264 as ffmpeg makes it by default: with B-frames, a keyframe each 2 s."""
    source = f"testsrc2=size=640x360:rate={RATE}:duration={SECONDS}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    options = ["-preset", "veryfast", "-g", str(2 * RATE), "-pix_fmt", "yuv420p"]
    subprocess.run([*command, *options, str(path)], check=True)
    return path


def test_ffmpeg_and_rtspclientsink(site: Site, tmp_path: Path) -> None:
    source = clip(tmp_path / "source.mp4")
    with site.running():
        ffmpeg = push_with_ffmpeg(site, source)
        pushed = ("push1", push_until_one_ends(site))
        _, errors = ffmpeg.communicate(timeout=SECONDS + 30)
        assert ffmpeg.returncode == 0, errors
        for name in pushed:
            folder = site.recordings / "shop" / f"{name}@shop.loc"
            wait_until(f"{name} is closed", lambda f=folder: not list(f.rglob("*.part")), 10)
        check = site.fsck()
    sent = SECONDS * RATE
    for name in pushed:
        chunks = site.chunks(name)
        assert len(chunks) >= 2, "8 s chunks of 20 s"
        assert sum(frame_count(chunk) for chunk in chunks) == sent
        assert [decode_errors(chunk) for chunk in chunks] == [""] * len(chunks)
    stored = [picture for chunk in site.chunks("push1") for picture in picture_hashes(chunk)]
    assert stored == picture_hashes(source), "every picture, bit for bit, in order"
    assert check.returncode == 0, check.stdout + check.stderr


def push_with_ffmpeg(site: Site, source: Path) -> subprocess.Popen[bytes]:
    token = site.token("push1@shop.loc")
    url = f"rtsps://127.0.0.1:{site.rtsps_port}/push1@shop.loc?token={token}"
    command = ["ffmpeg", "-v", "error", "-re", "-i", str(source), "-c", "copy"]
    return subprocess.Popen(
        [*command, "-f", "rtsp", "-rtsp_transport", "tcp", url], stderr=subprocess.PIPE
    )


def push_until_one_ends(site: Site) -> str:
    """With GStreamer; as whom."""
    for name in GSTREAMERS:
        process = push_with_gstreamer(site, name)
        try:
            _, errors = process.communicate(timeout=SECONDS + 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            continue
        # It also closes its socket before it says goodbye, now and then, and complains that it
        # can't: the pictures are there by then.
        assert process.returncode == 0 or b"(Received end-of-file)" in errors, errors
        return name
    raise AssertionError("rtspclientsink hung each time")


def push_with_gstreamer(site: Site, name: str) -> subprocess.Popen[bytes]:
    token = site.token(f"{name}@shop.loc")
    url = f"rtsps://127.0.0.1:{site.rtsps_port}/{name}@shop.loc?token={token}"
    source = f"videotestsrc is-live=true num-buffers={SECONDS * RATE}"
    caps = f"video/x-raw,width=640,height=360,framerate={RATE}/1"
    encoder = f"x264enc tune=zerolatency speed-preset=veryfast key-int-max={RATE}"
    sink = f'rtspclientsink protocols=tcp tls-validation-flags=0 location="{url}"'
    pipeline = f"{source} ! {caps} ! {encoder} ! h264parse ! {sink}"
    return subprocess.Popen(["gst-launch-1.0", "-q", *pipeline.split()], stderr=subprocess.PIPE)
