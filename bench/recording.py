"""What taking in streams costs: `ucam storage` and its peers, 1080p30 H.264 at 4 Mbit/s each."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.cost import Cost
from bench.peers import PEERS, Peer, pictures
from bench.result import OURS, Missing, Plan, Plot, Point, Result, Row
from bench.storage import Target, costs, make_clip, sending, sending_s, stored, ucam

CPU, MEMORY, HELD = "CPU a stream", "memory a stream", "streams on one core, none lost"
OWN = "ucam, 60,000-byte packets"
# Late by more than this, a server is too slow for what it gets.
LATE_S = 2.0
STEP = 50


def measure(plan: Plan) -> Iterator[Row]:
    """CPU, memory and losses by streams, of each; then how many a core holds."""
    sizes = plan.pick(full=(1, 10, 40, 100, 200), quick=(1, 10, 40))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        for streams in sizes:
            yield from _ours(OURS, folder, clip, plan, streams, packet=1400)
            if streams >= 10:
                yield from _ours(OWN, folder, clip, plan, streams, packet=60_000)
            for peer in PEERS:
                if streams <= peer.sizes:
                    try:
                        yield from _theirs(peer, folder, clip, plan, streams)
                    except (OSError, AssertionError, SystemExit) as error:
                        # A peer that gives up, or a port that somebody else took meanwhile.
                        yield Missing(f"{peer.name}, {streams} streams", f"It broke off: {error}.")
                        shutil.rmtree(folder / "peer", ignore_errors=True)
        yield _held(folder, clip, plan)


def _ours(
    who: str, folder: Path, clip: Path, plan: Plan, streams: int, *, packet: int
) -> Iterator[Row]:
    place = folder / "ucam"
    place.mkdir()
    with ucam(place, streams) as (target, storage):
        with sending(clip, target, packet=packet, seconds=sending_s(plan)) as sender:
            found = costs(target, plan)
            sent, late_s = sender.sent()
        kept = stored(storage)
    shutil.rmtree(place)
    yield from _rows(who, streams, found, _told(sent, kept, late_s))


def _theirs(peer: Peer, folder: Path, clip: Path, plan: Plan, streams: int) -> Iterator[Row]:
    place = folder / "peer"
    place.mkdir()
    note = ""
    with peer.start(place, streams) as target:
        match target:
            case str():
                if streams == 1:
                    yield Missing(peer.name, target)
                found = []
            case Target(urls=[]):
                found = costs(target, plan)
                note = "it decodes every picture"
            case _:
                with sending(clip, target, packet=1400, seconds=sending_s(plan)) as sender:
                    found = costs(target, plan)
                    sent, late_s = sender.sent()
                note = _told(sent, pictures(place), late_s)
    shutil.rmtree(place)
    if found:
        yield from _rows(peer.name, streams, found, note)


def _rows(who: str, streams: int, found: list[Cost], note: str) -> Iterator[Row]:
    cpu = tuple(each.cpu_percent / streams for each in found)
    memory = tuple(each.memory_mb / streams for each in found)
    yield Result(CPU, who, "% of a core", cpu, streams, note)
    yield Result(MEMORY, who, "MB", memory, streams)


def _told(sent: int, kept: int, late_s: float) -> str:
    late = f", up to {late_s:.1f} s late" if late_s > LATE_S else ""
    return f"{sent - kept} of {sent:,} pictures lost{late}" if kept < sent else f"none lost{late}"


def _held(folder: Path, clip: Path, plan: Plan) -> Row:
    """More and more streams for a storage on one core; the sender has the others."""
    most = plan.pick(full=600, quick=150)
    held, why = 0, "the most that were tried"
    for streams in range(STEP, most + 1, STEP):
        place = folder / "held"
        place.mkdir()
        with ucam(place, streams, under=("taskset", "-c", "0")) as (target, storage):
            seconds = plan.seconds + 5
            with sending(clip, target, packet=60_000, seconds=seconds) as sender:
                sent, late_s = sender.sent()
            kept = stored(storage)
        shutil.rmtree(place)
        if kept < sent or late_s > LATE_S:
            why = f"at {streams}: {_told(sent, kept, late_s)}"
            break
        held = streams
    if not held:
        return Missing(HELD, f"This machine was too slow: {why}.")
    return Result(HELD, OWN, "streams", (held,), note=why)


POINT = Point(
    "recording",
    "Recording",
    """1080p30 H.264 at 4 Mbit/s a stream, packets made beforehand, sent in real time by one process
    that isn't counted. Everybody writes MP4 to the same disk. *ucam storage*: TLS, synced every
    second. *gst-rtsp-server* from Python: TLS, `rtph264depay ! h264parse ! mp4mux
    fragment-duration=1000`. *ffmpeg*: `-rtsp_flags listen -c copy -f segment`, a process a
    stream, for it takes one and has no TLS as a server. *MediaMTX*: TLS, `record: yes`, fMP4,
    parts of a second. *motion*: fetches from an RTSP server without TLS, `movie_passthrough on`,
    records all the time; looking for motion, which ucam doesn't do, is part of its figure and
    can't be turned off. Packets have 1,400 bytes; ucam's own cameras send up to 60,000, which has
    rows of its own. Only ucam syncs. A stream counts as held when every picture is in its files
    and none was taken more than two seconds late.""",
    measure,
    (
        Plot(CPU, "Recording: CPU a stream", axis="streams", log_x=True, log_y=True),
        Plot(MEMORY, "Recording: memory a stream", axis="streams", log_x=True, log_y=True),
    ),
)
