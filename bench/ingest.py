"""What taking in a stream costs: `ucam storage` against gst-rtsp-server and ffmpeg.

The same clip (1080p30, 4 Mbit/s, H.264) is pushed by ffmpeg in real time, over TLS but to ffmpeg,
which has none as a server. Each writes MP4 to the same disk; only ucam syncs it every second.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.cost import Cost, measure
from support.site import Site, free_port

STREAMS = 10
SECONDS = 15
SETTLE_S = 5


def main() -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        print(f"\n{STREAMS} streams of 1080p30 at 4 Mbit/s, {SECONDS} s, per stream:")
        print(f"{'server':34}{'CPU %':>8}{'MB':>8}")
        for title, start, packet in [
            ("ucam storage, 1,400-byte packets", ucam, 1400),
            ("ucam storage, 60,000-byte packets", ucam, 60_000),
            ("gst-rtsp-server (Python), 1,400", gst_rtsp_server, 1400),
            ("ffmpeg, a process a stream, no TLS", ffmpeg, 1400),
        ]:
            place = folder / title.replace(" ", "-").replace(",", "")
            place.mkdir()
            with start(place) as (pids, urls):
                cost = pushed(clip, urls, packet, pids)
            cpu, memory = cost.cpu_percent / STREAMS, cost.memory_mb / STREAMS
            print(f"{title:34}{cpu:8.2f}{memory:8.1f}", flush=True)


def make_clip(path: Path) -> Path:
    """A minute of noisy pictures at 4 Mbit/s, a keyframe a second, no B-frames."""
    source = "testsrc2=size=1920x1080:rate=30:duration=60,noise=alls=12:allf=t"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    rate = ["-b:v", "4M", "-maxrate", "4M", "-bufsize", "4M", "-g", "30", "-bf", "0"]
    subprocess.run([*command, "-preset", "ultrafast", *rate, str(path)], check=True)
    return path


def pushed(clip: Path, urls: list[str], packet: int, pids: list[int]) -> Cost:
    """The servers' cost while ffmpeg pushes the clip to every URL."""
    command = ["ffmpeg", "-v", "error", "-re", "-i", str(clip), "-c", "copy", "-f", "rtsp"]
    options = ["-rtsp_transport", "tcp", "-pkt_size", str(packet)]
    pushers = [
        subprocess.Popen([*command, *options, url], stderr=subprocess.DEVNULL) for url in urls
    ]
    try:
        time.sleep(SETTLE_S)
        ended = [pusher for pusher in pushers if pusher.poll() is not None]
        if ended:
            raise SystemExit(f"{len(ended)} of {len(pushers)} publishers were turned away")
        return measure(pids, SECONDS)
    finally:
        for pusher in pushers:
            pusher.kill()
            pusher.wait()


Server = Callable[[Path], contextlib.AbstractContextManager[tuple[list[int], list[str]]]]


@contextlib.contextmanager
def ucam(folder: Path) -> Iterator[tuple[list[int], list[str]]]:
    """`ucam storage`, with a `ucam web` beside it that isn't measured."""
    names = [f"cam{number}" for number in range(STREAMS)]
    site = Site(folder, {}, publishers=names)
    with site.running():
        base = f"rtsps://127.0.0.1:{site.rtsps_port}"
        urls = [f"{base}/{name}@shop.loc?token={site.token(f'{name}@shop.loc')}" for name in names]
        yield [site.storage.pid], urls


@contextlib.contextmanager
def gst_rtsp_server(folder: Path) -> Iterator[tuple[list[int], list[str]]]:
    """gst-rtsp-server, driven from Python as an application would."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=bench", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(make, check=True, capture_output=True)
    port = free_port()
    script = Path(__file__).with_name("gst_server.py")
    command = [sys.executable, str(script), str(port), str(folder), str(cert), str(key)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        time.sleep(2)
        try:
            yield (
                [server.pid],
                [f"rtsps://127.0.0.1:{port}/cam{n}@shop.loc" for n in range(STREAMS)],
            )
        finally:
            server.kill()


@contextlib.contextmanager
def ffmpeg(folder: Path) -> Iterator[tuple[list[int], list[str]]]:
    """ffmpeg as a server: it takes one stream and has no TLS there."""
    servers, urls = [], []
    for number in range(STREAMS):
        url = f"rtsp://127.0.0.1:{free_port()}/cam{number}"
        command = ["ffmpeg", "-v", "error", "-rtsp_flags", "listen", "-i", url, "-c", "copy"]
        segments = ["-f", "segment", "-segment_time", "60", str(folder / f"cam{number}-%03d.mp4")]
        servers.append(subprocess.Popen([*command, *segments], stderr=subprocess.DEVNULL))
        urls.append(url)
    time.sleep(2)
    try:
        yield [server.pid for server in servers], urls
    finally:
        for server in servers:
            server.kill()
            server.wait()
