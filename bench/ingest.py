"""What taking in a stream costs: `ucam storage` against gst-rtsp-server and ffmpeg.

1080p30 H.264 at 4 Mbit/s, packets made beforehand and sent in real time by one process, over TLS
but to ffmpeg, which has none as a server. Each writes MP4 to the same disk; only ucam syncs it
every second. MediaMTX joins in where its binary is on the PATH.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.cost import Cost
from bench.storage import SETTLE_S, Target, cost, make_clip, sending, stored, ucam
from support.site import free_port

SECONDS = 10
# The peers get fewer: forty of theirs don't fit two cores beside the sender.
PEER_STREAMS = 10


def main() -> None:
    """Measure and print a table."""
    measure(PEERS)


def alone() -> None:
    """The same without the others: it fits into a quiet two minutes."""
    measure([])


def measure(peers: "list[tuple[str, Peer]]") -> None:
    """ucam, then these."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        print(f"\n1080p30 at 4 Mbit/s, {SECONDS} s:")
        print(f"{'server':44}{'streams':>8}{'CPU %':>8}{'MB':>8}   of one stream")
        for streams, packet in [(10, 1400), (40, 1400), (40, 60_000), (200, 60_000)]:
            place = folder / f"ucam-{streams}-{packet}"
            place.mkdir()
            with ucam(place, streams) as (target, storage):
                with sending(clip, target, packet=packet, seconds=SETTLE_S + SECONDS + 1) as sender:
                    measured = cost(target, SECONDS)
                    sent, age_s = sender.sent()
                kept = stored(storage)
            told = f"every one of {sent} pictures stored" if kept == sent else f"{sent - kept} LOST"
            told += f", durable within {age_s:.2f} s (p99)"
            row(f"ucam storage, {packet:,}-byte packets", streams, measured, told)
            shutil.rmtree(place)
        for title, start in peers:
            place = folder / title.split()[0]
            place.mkdir()
            with start(place, PEER_STREAMS) as target:
                if target is None:
                    continue
                seconds = SETTLE_S + SECONDS + 1
                with sending(clip, target, packet=1400, seconds=seconds):
                    row(title, PEER_STREAMS, cost(target, SECONDS), "")


def row(title: str, streams: int, measured: Cost, told: str) -> None:
    """A line of the table."""
    cpu, memory = measured.cpu_percent / streams, measured.memory_mb / streams
    print(f"{title:44}{streams:8}{cpu:8.2f}{memory:8.1f}   {told}", flush=True)


Peer = Callable[[Path, int], contextlib.AbstractContextManager[Target | None]]


@contextlib.contextmanager
def gst_rtsp_server(folder: Path, streams: int) -> Iterator[Target | None]:
    """gst-rtsp-server, driven from Python as an application would."""
    cert, key = certificate(folder)
    port = free_port()
    script = Path(__file__).with_name("gst_server.py")
    command = [sys.executable, str(script), str(port), str(folder), str(cert), str(key)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        time.sleep(2)
        try:
            urls = [f"rtsps://127.0.0.1:{port}/cam{n}@shop.loc" for n in range(streams)]
            yield Target([server.pid], urls, [""] * streams)
        finally:
            server.kill()


@contextlib.contextmanager
def ffmpeg(folder: Path, streams: int) -> Iterator[Target | None]:
    """ffmpeg as a server: it takes one stream and has no TLS there."""
    servers, urls = [], []
    for number in range(streams):
        url = f"rtsp://127.0.0.1:{free_port()}/cam{number}"
        command = ["ffmpeg", "-v", "error", "-rtsp_flags", "listen", "-i", url, "-c", "copy"]
        segments = ["-f", "segment", "-segment_time", "60", str(folder / f"cam{number}-%03d.mp4")]
        servers.append(subprocess.Popen([*command, *segments], stderr=subprocess.DEVNULL))
        urls.append(url)
    time.sleep(2)
    try:
        yield Target([server.pid for server in servers], urls, [""] * streams)
    finally:
        for server in servers:
            server.kill()
            server.wait()


@contextlib.contextmanager
def mediamtx(folder: Path, streams: int) -> Iterator[Target | None]:
    """MediaMTX that records everything, fragments of a second as ours."""
    binary = shutil.which("mediamtx")
    if binary is None:
        yield None
        return
    cert, key = certificate(folder)
    port = free_port()
    settings = f"""
        rtspTransports: [tcp]
        rtspEncryption: strict
        rtspsAddress: 127.0.0.1:{port}
        rtspServerKey: {key}
        rtspServerCert: {cert}
        rtmp: no
        hls: no
        webrtc: no
        srt: no
        pathDefaults:
          record: yes
          recordPath: {folder}/%path/%Y-%m-%d_%H-%M-%S-%f
          recordFormat: fmp4
          recordPartDuration: 1s
        paths:
          all_others:
    """
    (folder / "mediamtx.yml").write_text(
        "\n".join(line.removeprefix(" " * 8) for line in settings.splitlines())
    )
    command = [binary, str(folder / "mediamtx.yml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        time.sleep(2)
        try:
            urls = [f"rtsps://127.0.0.1:{port}/cam{number}" for number in range(streams)]
            yield Target([server.pid], urls, [""] * streams)
        finally:
            server.kill()


PEERS: list[tuple[str, Peer]] = [
    ("gst-rtsp-server (Python), 1,400", gst_rtsp_server),
    ("ffmpeg, 1,400, a process a stream, no TLS", ffmpeg),
    ("MediaMTX, 1,400", mediamtx),
]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=bench", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(make, check=True, capture_output=True)
    return cert, key
