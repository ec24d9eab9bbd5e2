"""The microphone: real pipelines, and devices that are only told."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest

from capture.test_camera import SMALL, capturing, take
from capture.test_sources import ALL, NOTHING
from ucam.capture import audio as audio_module
from ucam.capture import feed as feed_module
from ucam.capture.audio import TEST, Microphone, audio_source
from ucam.capture.camera import Camera, Captured
from ucam.capture.config import Audio, Video
from ucam.capture.feed import NoSource
from ucam.capture.gst import ThisMachine
from ucam.media.track import AudioTrack

LIST = """00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8
02-00: USB Audio : USB Audio : playback 1 : capture 1
03-00: Other : Other : capture 1
"""


def test_auto_takes_the_first_device_that_captures(tmp_path: Path) -> None:
    (tmp_path / "pcm").write_text(LIST)
    name, launch = audio_source(Audio(source="auto"), ALL, tmp_path / "pcm")
    assert name == "alsa:plughw:2,0"
    assert 'alsasrc device="plughw:2,0"' in launch


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSource, match="no microphone; see: arecord -l"):
        audio_source(Audio(source="auto"), ALL, tmp_path / "pcm")
    with pytest.raises(NoSource, match="opusenc is missing: install gstreamer1.0-plugins-base"):
        audio_source(Audio(source="alsa:default"), NOTHING)


async def heard(video: Video, audio: Audio, seconds: float) -> list[Captured]:
    found: list[Captured] = []
    camera = Camera(video, found.append, audio)
    task = asyncio.create_task(camera.run())
    try:
        async with asyncio.timeout(20):
            while not found or found[-1].unit.utc_us - found[0].unit.utc_us < seconds * 1e6:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return found


async def test_sound_goes_along_on_the_pictures_clock() -> None:
    found = await heard(Video(**SMALL, source="test"), Audio(source="test"), 3)  # type: ignore[arg-type]
    assert {item.run.id for item in found} == {found[0].run.id}, (
        "one run, with sound from its start"
    )
    assert found[0].run.audio == AudioTrack.opus(1)
    sound = [item.unit for item in found if item.unit.audio]
    pictures = [item.unit for item in found if not item.unit.audio]
    assert [unit.number for unit in pictures] == list(range(len(pictures)))
    assert len(sound) > 130
    spacing = [b.utc_us - a.utc_us for a, b in pairwise(sound)]
    assert set(spacing) <= set(range(19_900, 20_101)), "20 ms a frame, none missing"
    assert abs(sound[-1].utc_us - pictures[-1].utc_us) < 500_000
    assert abs(sound[-1].utc_us / 1e6 - time.time()) < 3
    drift = {unit.pts_90k - unit.utc_us * 9 // 100 for unit in (*sound, *pictures)}
    assert max(drift) - min(drift) < 90
    # The number of a frame is that of the newest picture before it.
    newest = -1
    for item in found:
        if item.unit.audio:
            assert item.unit.number == newest
        else:
            newest = item.unit.number


async def test_a_stalled_microphone_stops_no_picture_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "STALL_S", 1.2)
    monkeypatch.setattr(feed_module, "LOOK_S", 0.1)
    # Half a second of sound, and then nothing: no end, no error.
    silent = TEST.replace(" ! ", " num-buffers=100 ! ", 1)
    stalls = f"concat name=both  {silent} ! both.  appsrc is-live=true ! both.  both."
    monkeypatch.setattr(audio_module, "TEST", stalls)
    found: list[Captured] = []
    camera = Camera(Video(**SMALL, source="test"), found.append, Audio(source="test"))  # type: ignore[arg-type]
    task = asyncio.create_task(camera.run())
    try:
        async with asyncio.timeout(20):
            while len({item.run.id for item in found}) < 4:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    runs = list(dict.fromkeys(item.run for item in found))
    sounds = [run.audio is not None for run in runs]
    assert sounds in ([True, False] * 2, [False, True] * 2)
    pictures = [item.unit for item in found if not item.unit.audio]
    spacing_s = [(b.utc_us - a.utc_us) / 1e6 for a, b in pairwise(pictures)]
    assert max(spacing_s) < 0.2, "no picture is missing"
    assert all(
        item.unit.keyframe for item in found if item.unit.number == 0 and not item.unit.audio
    )


async def test_without_any_microphone_pictures_come_and_it_is_told() -> None:
    audio = Audio(source="alsa:nothing")
    async with capturing(source="test") as (_, queue):
        await take(queue, 3)
    found: list[Captured] = []
    camera = Camera(Video(**SMALL, source="test"), found.append, audio, ThisMachine())  # type: ignore[arg-type]
    task = asyncio.create_task(camera.run())
    try:
        async with asyncio.timeout(20):
            while len(found) < 15:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert found[0].run.audio is None
    assert camera.microphone is not None
    assert "microphone" in (camera.microphone.feed.fault or "")


async def test_sound_with_impossible_times_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # As fast as the processor can: what some virtual devices do.
    monkeypatch.setattr(audio_module, "TEST", TEST.replace(" ! clocksync", ""))
    microphone = Microphone(Audio(source="test"), ThisMachine(), lambda _: None, lambda: None)
    task = asyncio.create_task(microphone.run())
    async with asyncio.timeout(20):
        while "impossible times" not in (microphone.feed.fault or ""):
            await asyncio.sleep(0.02)
    assert microphone.track is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
