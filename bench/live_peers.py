"""Who shows a live picture in a browser instead of ucam, with a camera that feeds it."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import listening
from support.site import free_port, wait_until

JANUS = "Janus"
# Number of a picture → when it was captured, ms since 1970: once, if nothing began anew.
Times = dict[int | None, list[float]]


@dataclass
class LivePeer:
    """`how`: see viewer.ts. `page`: of the same origin, whatever it shows. `pid`: of the
    server. `captured`: by its camera.
    """

    name: str
    how: dict[str, Any]
    page: str
    pid: int
    captured: Times = field(default_factory=dict)


@contextlib.contextmanager
def janus(folder: Path) -> Iterator[LivePeer | str]:
    """Janus's streaming plugin: RTP from the camera, the last keyframe kept for who comes."""
    binary = shutil.which("janus")
    if binary is None:
        yield "janus is not on the PATH."
        return
    rtp, http = free_udp_port(), free_port()
    (folder / "janus.jcfg").write_text(f'general: {{ configs_folder = "{folder}"\n }}\n')
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{ json = "compact"\n base_path = "/janus"\n http = true\n port = {http}\n'
        ' ip = "127.0.0.1"\n https = false\n }\nadmin: { admin_http = false\n }\n'
    )
    (folder / "janus.plugin.streaming.jcfg").write_text(
        f'camera: {{ type = "rtp"\n id = 1\n audio = false\n video = true\n videoport = {rtp}\n'
        ' videoiface = "127.0.0.1"\n videopt = 96\n videocodec = "h264"\n'
        ' videofmtp = "profile-level-id=42e01f;packetization-mode=1"\n videobufferkf = true\n }\n'
    )
    command = [binary, "--configs-folder", str(folder), "--disable-colors"]
    command += ["--config", str(folder / "janus.jcfg"), "--log-file", str(folder / "janus.log")]
    with listening(command, http) as server:
        url = f"http://127.0.0.1:{http}/janus"
        how = {"kind": "janus", "url": url, "stream": 1}
        peer = LivePeer(JANUS, how, f"{url}/info", server.pid)
        with fed(peer, str(rtp), "-"):
            yield peer


@contextlib.contextmanager
def mediamtx(folder: Path) -> Iterator[LivePeer | str]:
    """MediaMTX: RTSP from the camera, WHEP to the browser."""
    binary = shutil.which("mediamtx")
    if binary is None:
        yield "mediamtx is not on the PATH."
        return
    rtsp, http, udp = free_port(), free_port(), free_udp_port()
    config = folder / "mediamtx.yml"
    config.write_text(
        f"rtspTransports: [tcp]\nrtspAddress: 127.0.0.1:{rtsp}\nrtmp: no\nhls: no\nsrt: no\n"
        f"webrtcAddress: 127.0.0.1:{http}\nwebrtcLocalUDPAddress: :{udp}\n"
        "paths:\n  all_others:\n"
    )
    with listening([binary, str(config)], rtsp) as server:
        how = {"kind": "whep", "url": f"http://127.0.0.1:{http}/camera/whep"}
        page = f"http://127.0.0.1:{http}/camera"
        peer = LivePeer("MediaMTX (WHEP)", how, page, server.pid)
        with fed(peer, str(free_udp_port()), f"rtsp://127.0.0.1:{rtsp}/camera"):
            yield peer


PEERS = (janus, mediamtx)


@contextlib.contextmanager
def fed(peer: LivePeer, rtp: str, rtsp: str) -> Iterator[None]:
    """The camera while it sends; what it captured is in `peer.captured`."""
    script = Path(__file__).with_name("gst_feed.py")
    command = [sys.executable, str(script), rtp, rtsp]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as camera:

        def read() -> None:
            assert camera.stdout is not None
            for line in camera.stdout:
                number, at_ms = line.split()
                peer.captured[int(number)] = [float(at_ms)]

        reader = threading.Thread(target=read)
        reader.start()
        try:
            wait_until("the camera sends", lambda: len(peer.captured) > 30, 60)
            yield
        finally:
            camera.kill()
            reader.join()


def free_udp_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
