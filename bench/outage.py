"""The network is cut: how much video each system lacks afterwards, and how soon ucam has caught up.

In a network namespace, where nft drops every packet of the cut connections. Each picture has its
number in it (`ucam.capture.counter`): what is missing in the files was lost.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av

from bench.cost import measure as cost
from bench.peers import listening
from bench.result import OURS, Missing, Plan, Plot, Point, Result, Row
from bench.storage import make_clip, sending, stored, ucam
from faults.chain import RATE, Chain
from faults.network import Network
from support.site import wait_until
from ucam.capture import counter

LOST, CATCH_UP = "video lost", "caught up after"
STREAMS, SPEED = 8, 10
CPU = f"CPU of storage while {STREAMS} cameras catch up at {SPEED} times real time"
CUT_S = 60
BEFORE_S = AFTER_S = 12
# Of each recording: before, in, and a good part of what comes after the cut.
PROVED_S = BEFORE_S + CUT_S + AFTER_S
UCAM_PORT, CAMERA_PORT = 8322, 8554


@dataclass
class Recorder:
    """A recorder that fetches from an RTSP camera, and does so again when it has broken off."""

    name: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    def end(self) -> None:
        """Stop it and what it has started."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self.process.kill()
        self.process.wait()


def measure(plan: Plan) -> Iterator[Row]:
    """What is lost; what it costs to take in later what could not be sent before."""
    yield from _lost(plan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        with ucam(folder, STREAMS) as (target, storage):
            seconds = plan.runs * plan.seconds + 3
            with sending(clip, target, packet=60_000, seconds=seconds, speed=SPEED) as sender:
                costs = [cost(target.pids, plan.seconds) for _ in range(plan.runs)]
                sent, _ = sender.sent()
            kept = stored(storage)
    told = f"{sent - kept} of {sent:,} pictures lost" if kept < sent else "none lost"
    yield Result(CPU, OURS, "% of a core", tuple(each.cpu_percent for each in costs), note=told)


def _lost(plan: Plan) -> Iterator[Row]:
    """All of them at once, the same cut for all; so often, side by side, each in its network."""
    if os.geteuid() != 0 or not shutil.which("nft"):
        yield Missing("outage", "Only root makes network namespaces, and nft cuts them.")
        return
    runs = plan.pick(full=plan.runs, quick=1)
    lost: dict[str, list[float]] = {}
    caught_up: list[float] = []
    with ThreadPoolExecutor(runs) as threads:
        measured = list(threads.map(_cut_once, range(runs)))
    for found, took_s in measured:
        for who, seconds in found.items():
            lost.setdefault(who, []).append(seconds)
        caught_up.append(took_s)
    for who, values in lost.items():
        yield Result(LOST, who, f"s of {CUT_S}", tuple(values))
    yield Result(CATCH_UP, OURS, "s", tuple(caught_up), note="until its spool was empty")


def _cut_once(_number: int) -> tuple[dict[str, float], float]:
    with tempfile.TemporaryDirectory() as name, Network() as network:
        return _cut(Path(name), network)


def _cut(folder: Path, network: Network) -> tuple[dict[str, float], float]:
    with Chain(folder, network, port=UCAM_PORT) as chain, _camera(network):
        recorders = list(_recorders(folder, network))
        try:
            chain.camera.start()
            wait_until("ucam records", lambda: list(chain.storage.root.rglob("*.part")), 60)
            for each in recorders:
                wait_until(f"{each.name} records", lambda e=each: list(e.folder.iterdir()), 120)
            time.sleep(BEFORE_S)
            with _everything_cut(network):
                time.sleep(CUT_S)
            began_s = time.monotonic()
            wait_until("the spool is empty", lambda: not chain.camera.segments(), 300)
            took_s = time.monotonic() - began_s
            time.sleep(max(0.0, 3 * AFTER_S - took_s))
        finally:
            for each in recorders:
                each.end()
        chain.stop()
        numbers = [picture.counter for picture in chain.stored() if picture.counter is not None]
    lost = {OURS: missing_s(numbers, PROVED_S)}
    for each in recorders:
        lost[each.name] = missing_s(_numbers(each.folder), PROVED_S)
    return lost, took_s


@contextlib.contextmanager
def _everything_cut(network: Network) -> Iterator[None]:
    nft = [*network.under, "nft"]
    subprocess.run([*nft, "add rule inet cut input drop"], check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "flush chain inet cut input"], check=True)


def missing_s(numbers: Sequence[int], least_s: float = 0) -> float:
    """Seconds of pictures that aren't there, from the first on that is, to the last, but for
    `least_s` at least: who doesn't come back has lost the rest.
    """
    if not numbers:
        raise SystemExit("a recorder has kept no picture at all")
    first, end = min(numbers), max(numbers) + 1
    return (max(end - first, int(least_s * RATE)) - len(set(numbers))) / RATE


@contextlib.contextmanager
def _camera(network: Network) -> Iterator[None]:
    script = Path(__file__).with_name("gst_camera.py")
    command = [*network.under, sys.executable, str(script), str(CAMERA_PORT), "live", str(RATE)]
    with listening(command, CAMERA_PORT):
        yield


def _recorders(folder: Path, network: Network) -> Iterator[Recorder]:
    url = f"rtsp://127.0.0.1:{CAMERA_PORT}/camera"
    place = folder / "ffmpeg"
    place.mkdir()
    # As systemd would with Restart=always; ffmpeg gives up after 5 s of silence.
    ffmpeg = (
        "trap 'kill $!; wait; exit' TERM; while :; do ffmpeg -v error -nostdin -rtsp_transport udp"
        f" -timeout 5000000 -i {url} -c copy -f segment -segment_time 10 -strftime 1"
        f" {place}/%s.mp4 & wait $!; sleep 1; done"
    )
    yield Recorder("ffmpeg -f segment, restarted", place, _start(network, ["sh", "-c", ffmpeg]))
    if shutil.which("motion"):
        place = folder / "motion"
        place.mkdir()
        lines = [
            *("daemon off", "setup_mode off", "webcontrol_port 0", "stream_port 0"),
            *("width 640", "height 360", f"framerate {RATE}", f"log_file {folder}/motion.log"),
            *(f"netcam_url {url}", "netcam_params rtsp_transport=udp", "emulate_motion on"),
            *("picture_output off", "movie_output on", "movie_passthrough on"),
            *("movie_codec mp4", "movie_max_time 10", "event_gap 1", f"target_dir {place}"),
        ]
        config = folder / "motion.conf"
        config.write_text("\n".join(lines) + "\n")
        yield Recorder("motion", place, _start(network, ["motion", "-n", "-c", str(config)]))


def _start(network: Network, command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*network.under, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _numbers(folder: Path) -> list[int]:
    found = []
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(av.FFmpegError), av.open(str(path)) as container:
            for frame in container.decode(video=0):
                plane = frame.planes[0]
                seen = counter.read(bytes(plane), plane.line_size, frame.width, frame.height)
                if seen is not None:
                    found.append(seen)
    return found


POINT = Point(
    "outage",
    "A network that is cut",
    f"""The network between camera and recorder is cut for {CUT_S} s: no packet arrives, nobody is
    told. *ucam*: `ucam capture` and `ucam storage`, over TLS. *ffmpeg* and *motion* fetch from an
    RTSP camera (gst-rtsp-server, no TLS, by UDP, for with TCP that camera dies of the cut; same
    pictures); ffmpeg gives up after 5 s of silence and is started again a second later, as
    systemd would; motion tries again by itself. Every picture has a number in it; what is missing
    between the first and the last in the files is lost. All runs stand side by side, each in a
    network of its own. An IP camera keeps nothing, so no
    recorder that fetches can do better than the length of the cut; that is the point.""",
    measure,
    (Plot(LOST, f"Video lost by a cut of {CUT_S} s", "bars"),),
)
