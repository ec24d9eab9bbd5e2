"""What taking in streams costs: `ucam storage` and its peers, 1080p30 H.264 at 4 Mbit/s each."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.cost import Cost, cpu_seconds
from bench.peers import PEERS, Peer, pictures
from bench.result import OURS, Missing, Plan, Plot, Point, Result, Row
from bench.storage import TurnedAway, costs, make_clip, sending, sending_s, stored, ucam

CPU, MEMORY, HELD = "CPU a stream", "memory a stream", "streams on one core, none lost"
OWN = "ucam, 60,000-byte packets"
# Late by more than this, a server is too slow for what it gets.
LATE_S = 2.0
# Of a peer that fetches it isn't known to the picture what it was given.
TOLERATED = 0.02
# What a peer takes to write what it was sent last.
END_S = 2.0
STEP = 50
# From so many on, three quarters of the seconds see as much.
MANY = 40
FILM_RATE = 30


class NotHeldError(Exception):
    """A peer doesn't carry so many streams; the text says what happened."""


def measure(plan: Plan) -> Iterator[Row]:
    """CPU, memory and losses by streams, of each; then how many a core holds."""
    sizes = plan.pick(full=(1, 10, 40, 100, 200), quick=(1, 10, 40))
    peers = [peer for peer in PEERS if shutil.which(peer.program)]
    for peer in PEERS:
        if peer not in peers:
            yield Missing(peer.name, f"{peer.program} is not on the PATH.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4")
        for streams in sizes:
            if streams == MANY:
                plan = replace(plan, seconds=0.75 * plan.seconds)
            yield from _ours(OURS, folder, clip, plan, streams, packet=1400)
            if streams >= 10:
                yield from _ours(OWN, folder, clip, plan, streams, packet=60_000)
            for peer in tuple(peers):
                try:
                    yield from _theirs(peer, folder, clip, plan, streams)
                except (OSError, AssertionError, SystemExit, NotHeldError) as error:
                    # It gives up, or gives up pictures: it isn't tried with more.
                    peers.remove(peer)
                    more = " and more" if streams < sizes[-1] else ""
                    yield Missing(f"{peer.name} with {streams} streams{more}", f"{error}.")
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
    """Raises `NotHeldError` for a peer that loses pictures."""
    place = folder / "peer"
    place.mkdir()
    try:
        with peer.start(place, streams) as target:
            if not target.urls:
                began_s = time.monotonic()
                found = costs(target, plan)
                sent = int((time.monotonic() - began_s) * FILM_RATE * streams * (1 - TOLERATED))
                late_s = 0.0
            else:
                seconds = sending_s(plan, len(target.pids))
                with sending(clip, target, packet=1400, seconds=seconds) as sender:
                    found = costs(target, plan)
                    sent, late_s = sender.sent()
                time.sleep(END_S)
        kept = pictures(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    told = _told(sent, kept, late_s)
    if kept < sent or late_s > LATE_S:
        raise NotHeldError(f"At {streams}: {told}")
    yield from _rows(peer.name, streams, found, told)


def _rows(who: str, streams: int, found: list[Cost], note: str) -> Iterator[Row]:
    cpu = tuple(each.cpu_percent / streams for each in found)
    memory = tuple(each.memory_mb / streams for each in found)
    yield Result(CPU, who, "% of a core", cpu, streams, note)
    yield Result(MEMORY, who, "MB", memory, streams)


def _told(sent: int, kept: int, late_s: float) -> str:
    late = f", up to {late_s:.1f} s late" if late_s > LATE_S else ""
    return f"{sent - kept} of {sent:,} pictures lost{late}" if kept < sent else f"none lost{late}"


def _held(folder: Path, clip: Path, plan: Plan) -> Row:
    """The most, by halving, for a storage on one core; the sender has the others."""
    held, lost, least = 0, plan.pick(full=600, quick=150) + STEP, "the most that were tried"
    told = ""
    streams = plan.pick(full=4 * STEP, quick=STEP)
    while lost - held > STEP:
        why, cpu = _tried(folder, clip, plan, streams)
        if why:
            lost, least = streams, f"at {streams}: {why}, {cpu}"
        else:
            held, told = streams, cpu
        streams = (held + lost) // 2 // STEP * STEP
    if not held:
        return Missing(HELD, f"This machine was too slow: {least}.")
    return Result(HELD, OWN, "streams", (held,), note=f"{told}; {least}")


def _tried(folder: Path, clip: Path, plan: Plan, streams: int) -> tuple[str, str]:
    """What went wrong with so many streams, "" if nothing; the CPU of both sides, in words."""
    place = folder / "held"
    place.mkdir()
    seconds = plan.seconds + 5
    try:
        with ucam(place, streams, under=("taskset", "-c", "0")) as (target, storage):
            with sending(clip, target, packet=60_000, seconds=seconds) as sender:
                pids = target.pids[0], sender.process.pid
                before = [cpu_seconds(pid) for pid in pids]
                time.sleep(plan.seconds)
                spent = [cpu_seconds(pid) - b for pid, b in zip(pids, before, strict=True)]
                sent, late_s = sender.sent()
            kept = stored(storage)
    except TurnedAway as error:
        return str(error), "its core was busy"
    finally:
        shutil.rmtree(place)
    ours, senders = (100 * each / plan.seconds for each in spent)
    why = _told(sent, kept, late_s) if kept < sent or late_s > LATE_S else ""
    return why, f"storage took {ours:.0f} % of its core, the sender {senders:.0f} %"


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
    and none was taken more than two seconds late; of motion, 98 of 100. Who doesn't hold so many
    streams is not tried with more. From 40 streams on, a run has three quarters of the seconds.
    Closing a file, once a minute and stream, lies outside the
    seconds that are counted, with everybody.""",
    measure,
    (
        Plot(CPU, "Recording: CPU a stream", axis="streams", log_x=True, log_y=True),
        Plot(MEMORY, "Recording: memory a stream", axis="streams", log_x=True, log_y=True),
    ),
)
