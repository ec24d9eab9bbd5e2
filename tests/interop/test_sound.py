"""A camera with a microphone: how far pictures and sound are apart in storage's file."""

import statistics
from itertools import pairwise
from pathlib import Path

import av
import pytest

from support.probe import decode_errors
from support.site import Site, wait_until

pytestmark = pytest.mark.interop
# Small, and fast enough that a picture's length doesn't hide what is measured. The picture is
# inverted at each full second of UTC, when the test sound beeps.
PICTURE = "videotestsrc is-live=true pattern=ball flip=true animation-mode=wall-time"
RATE = 100
CAMERA = f"""source = "gst:{PICTURE} ! video/x-raw,width=160,height=120,framerate={RATE}/1"
width = 160
height = 120
framerate = {RATE}
bitrate = "500kbit/s"
[audio]
source = "test"
"""
SECONDS = 5


def test_sound_is_within_20_ms_of_the_picture(tmp_path: Path) -> None:
    site = Site(tmp_path, {"cam1": CAMERA})
    with site.running():
        wait_until("some seconds", lambda: seconds_kept(site) > SECONDS, 40)
    check = site.fsck()
    assert check.returncode == 0, check.stdout + check.stderr
    chunk = max(site.chunks("cam1"), key=lambda path: path.stat().st_size)
    assert decode_errors(chunk) == ""
    flashes, beeps = flashes_and_beeps(chunk)
    assert len(flashes) >= SECONDS - 2
    apart = [min((beep - flash for beep in beeps), key=abs) for flash in flashes[1:-1]]
    # On a busy machine a picture may be drawn late, and its flash is then too early.
    assert statistics.median(map(abs, apart)) < 0.020, apart


def seconds_kept(site: Site) -> float:
    """Of the file that is being written."""
    for path in site.recordings.rglob("*.part"):
        try:
            with av.open(str(path)) as file:
                times = [packet.pts for packet in file.demux(video=0) if packet.pts is not None]
                if len(file.streams) == 2 and times:
                    return (times[-1] - times[0]) / 90_000
        except (av.error.FFmpegError, OSError):
            continue  # just begun, or closed meanwhile
    return 0.0


def flashes_and_beeps(path: Path) -> tuple[list[float], list[float]]:
    """When the picture is inverted, and when a beep begins, in seconds."""
    flashes: list[float] = []
    beeps: list[float] = []
    with av.open(str(path)) as file:
        before: float | None = None
        for picture in file.decode(video=0):
            light = float(picture.to_ndarray(format="gray").mean())
            if before is not None and abs(light - before) > 100:
                # videotestsrc draws while the picture before is shown.
                flashes.append((picture.time or 0.0) - 1 / RATE)
            before = light
        file.seek(0)
        quiet_until = float("-inf")
        for frame in file.decode(audio=0):
            samples = abs(frame.to_ndarray()[0])
            for place in (samples > 0.1).nonzero()[0]:
                at = (frame.time or 0.0) + int(place) / frame.sample_rate
                if at > quiet_until:
                    beeps.append(at)
                quiet_until = at + 0.5
    return flashes, beeps


SLOW = """source = "test"
width = 320
height = 180
framerate = 15
[audio]
source = "test"
"""


def test_an_outage_of_storage_loses_no_sound_and_brings_none_twice(tmp_path: Path) -> None:
    site = Site(tmp_path, {"cam1": SLOW})
    with site.running():
        wait_until("some seconds", lambda: seconds_kept(site) > 2, 40)
        site.storage.kill()
        # What is captured meanwhile lies in the spool, sound between pictures.
        log = site.cameras["cam1"].log
        wait_until("tried again", lambda: log.read_text().count("nothing listens there") > 3, 40)
        site.storage.start()
        wait_until("a second file", lambda: site.chunks("cam1") and seconds_kept(site) > 4, 60)
    assert site.fsck().returncode == 0
    sound = [at for chunk in site.chunks("cam1") for at in packet_times(chunk, "audio")]
    pictures = sorted(at for chunk in site.chunks("cam1") for at in packet_times(chunk, "video"))
    assert {round(b - a, 3) for a, b in pairwise(sound)} == {0.02}
    assert max(b - a for a, b in pairwise(pictures)) < 0.1
    assert abs(sound[0] - pictures[0]) < 0.1
    assert abs(sound[-1] - pictures[-1]) < 0.2


def packet_times(path: Path, kind: str) -> list[float]:
    """When each frame of sound, or picture, begins, in seconds since 1970."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0] if kind == "audio" else file.streams.video[0]
        return [
            float(packet.pts * packet.time_base)
            for packet in file.demux(stream)
            if packet.pts is not None and packet.time_base is not None
        ]
