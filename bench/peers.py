"""What a user could record with instead of `ucam storage`, configured as fairly as they allow."""

import contextlib
import itertools
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from bench.storage import Target
from support.site import free_port, wait_until

Started = contextlib.AbstractContextManager[Target]
END_S = 15
# Below what Linux gives to connections (32768 and up).
FIRST_PORT, LAST_PORT = 21_000, 32_000


@dataclass(frozen=True, slots=True)
class Peer:
    """`program`: what must be on the PATH. `start`: in a folder, for so many streams. Whose
    `Target` has no URLs fetches its streams from an RTSP server, instead of being sent to.
    """

    name: str
    program: str
    start: Callable[[Path, int], Started]


@contextlib.contextmanager
def gst_rtsp_server(folder: Path, streams: int) -> Iterator[Target]:
    """gst-rtsp-server, driven from Python as an application would."""
    cert, key = certificate(folder)
    port = free_port()
    script = Path(__file__).with_name("gst_server.py")
    command = [sys.executable, str(script), *map(str, (port, folder, cert, key, streams))]
    with listening(command, port) as server:
        urls = [f"rtsps://127.0.0.1:{port}/cam{n}@shop.loc" for n in range(streams)]
        yield Target([server.pid], urls, [""] * streams)


@contextlib.contextmanager
def ffmpeg(folder: Path, streams: int) -> Iterator[Target]:
    """ffmpeg as a server: it takes one stream and has no TLS there."""
    ports = list(itertools.islice(_quiet_ports(), streams))
    urls = [f"rtsp://127.0.0.1:{port}/cam{number}" for number, port in enumerate(ports)]
    with contextlib.ExitStack() as stack:
        servers: list[subprocess.Popen[bytes]] = []
        for number, url in enumerate(urls):
            command = ["ffmpeg", "-v", "error", "-rtsp_flags", "listen", "-i", url, "-c", "copy"]
            files = str(folder / f"cam{number}-%03d.mp4")
            segments = ["-f", "segment", "-segment_time", "60", files]
            servers.append(stack.enter_context(started([*command, *segments])))
        for server, port in zip(servers, ports, strict=True):
            wait_until("ffmpeg listens", lambda s=server, p=port: listens(s.pid, p), 120)
        yield Target([server.pid for server in servers], urls, [""] * streams)


def _quiet_ports() -> Iterator[int]:
    """Free ports that no connection is given by the system: many, between asking and listening."""
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            yield port


@contextlib.contextmanager
def mediamtx(folder: Path, streams: int) -> Iterator[Target]:
    """MediaMTX that records everything, fragments of a second as ours."""
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
    command = ["mediamtx", str(folder / "mediamtx.yml")]
    with listening(command, port) as server:
        urls = [f"rtsps://127.0.0.1:{port}/cam{number}" for number in range(streams)]
        yield Target([server.pid], urls, [""] * streams)


@contextlib.contextmanager
def motion(folder: Path, streams: int) -> Iterator[Target]:
    """motion that records all the time, coded pictures as they come (movie_passthrough); it
    decodes them all the same, to look for motion.
    """
    with rtsp_camera(folder) as camera:
        (folder / "motion").mkdir()
        lines = [
            *("daemon off", "setup_mode off", "log_level 4", f"log_file {folder}/motion.log"),
            *("webcontrol_port 0", "stream_port 0", "width 1920", "height 1080", "framerate 30"),
            *("emulate_motion on", "picture_output off", "movie_output on", "event_gap 1"),
            *("movie_passthrough on", "movie_max_time 60", "movie_codec mp4"),
            f"target_dir {folder}/motion",
        ]
        for number in range(streams):
            name = folder / f"camera{number}.conf"
            name.write_text(
                f"camera_id {number + 1}\nnetcam_url {camera}\nnetcam_params rtsp_transport=tcp\n"
                f"movie_filename cam{number}-%Y%m%d%H%M%S\n"
            )
            lines.append(f"camera {name}")
        (folder / "motion.conf").write_text("\n".join(lines) + "\n")
        command = ["motion", "-n", "-c", str(folder / "motion.conf")]
        with started(command) as it:
            files = folder / "motion"
            wait_until("motion writes", lambda: len(list(files.iterdir())) >= streams, 60)
            yield Target([it.pid], [], [])


PEERS = (
    Peer("gst-rtsp-server", "python3", gst_rtsp_server),
    Peer("ffmpeg -f segment (no TLS)", "ffmpeg", ffmpeg),
    Peer("MediaMTX", "mediamtx", mediamtx),
    Peer("motion (no TLS)", "motion", motion),
)


@contextlib.contextmanager
def rtsp_camera(folder: Path) -> Iterator[str]:
    """A camera that is fetched from: gst-rtsp-server with the clip of `folder`'s parent, looped
    for 10 minutes; yields its URL.
    """
    clip, film = folder.parent / "clip.mp4", folder / "film.mp4"
    copy = ["ffmpeg", "-v", "error", "-stream_loop", "75", "-i", str(clip), "-c", "copy"]
    subprocess.run([*copy, str(film)], check=True)
    port = free_port()
    script = Path(__file__).with_name("gst_camera.py")
    with listening([sys.executable, str(script), str(port), str(film)], port):
        yield f"rtsp://127.0.0.1:{port}/camera"


@contextlib.contextmanager
def started(command: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    """A program as long as the block: it is asked to end, and made to after a while."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            process.kill()


@contextlib.contextmanager
def listening(command: Sequence[str], port: int) -> "Iterator[subprocess.Popen[bytes]]":
    """The same of a server, from when it listens on a TCP port."""
    with started(command) as server:
        wait_until(f"{command[0]} listens", lambda: listens(server.pid, port))
        yield server


def listens(pid: int, port: int) -> bool:
    """Whether a process listens on a TCP port."""
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key: P-256, as ucam's own."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=bench", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    make = ["openssl", "req", "-x509", *kind, "-nodes", *subject]
    subprocess.run(make, check=True, capture_output=True)
    return cert, key


def pictures(folder: Path) -> int:
    """How many a peer's files hold; a file that can't be read has none."""
    total = 0
    for path in folder.rglob("cam*.mp4"):
        with contextlib.suppress(av.FFmpegError), av.open(str(path)) as container:
            total += sum(1 for packet in container.demux(video=0) if packet.size)
    return total
