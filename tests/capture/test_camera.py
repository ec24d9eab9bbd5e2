"""Real pipelines, a few seconds each."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from ucam.base.units import Duration, Rate
from ucam.capture import encoder as encoder_module
from ucam.capture import feed as feed_module
from ucam.capture.camera import Camera, Captured
from ucam.capture.config import Video
from ucam.capture.encoder import Encoder, encoder_launch
from ucam.media.h264 import is_keyframe

CLIP = Path(__file__).parents[2] / "src/ucam/demo/yard.mp4"
SMALL = {
    "width": 320,
    "height": 180,
    "framerate": 15,
    "bitrate": Rate(200_000),
    "keyframe_interval": Duration(1),
}


@asynccontextmanager
async def capturing(**video: object) -> AsyncIterator[tuple[Camera, "asyncio.Queue[Captured]"]]:
    queue: asyncio.Queue[Captured] = asyncio.Queue()
    camera = Camera(Video(**SMALL | video), queue.put_nowait)  # type: ignore[arg-type]
    task = asyncio.create_task(camera.run())
    try:
        yield camera, queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def take(queue: "asyncio.Queue[Captured]", count: int, limit_s: float = 8) -> list[Captured]:
    async with asyncio.timeout(limit_s):
        return [await queue.get() for _ in range(count)]


def check_stream(captured: list[Captured], framerate: int) -> None:
    """One run, numbered, evenly spaced, in UTC, with a keyframe at its start."""
    units = [item.unit for item in captured]
    assert len({item.run.id for item in captured}) == 1
    assert [unit.number for unit in units] == list(range(len(units)))
    assert units[0].keyframe
    assert all(unit.keyframe == is_keyframe(unit.data) for unit in units)
    spacing_us = [b.utc_us - a.utc_us for a, b in pairwise(units)]
    assert min(spacing_us) > 0.9e6 / framerate
    assert max(spacing_us) < 1.1e6 / framerate
    assert abs(units[-1].utc_us / 1e6 - time.time()) < 1
    drift_90k = [unit.pts_90k - unit.utc_us * 9 // 100 for unit in (units[0], units[-1])]
    assert abs(drift_90k[1] - drift_90k[0]) < 90


async def test_the_test_source_gives_units_and_a_keyframe_a_second() -> None:
    async with capturing(source="test") as (camera, queue):
        captured = await take(queue, 40)
        check_stream(captured, 15)
        assert [n for n, item in enumerate(captured) if item.unit.keyframe] == [0, 15, 30]
        track = captured[0].run.track
        assert (track.width, track.height, track.reorder_depth) == (320, 180, 0)
        assert camera.frames_advance
        assert camera.fault is None


async def test_a_keyframe_can_be_forced() -> None:
    async with capturing(source="test", keyframe_interval=Duration(10)) as (camera, queue):
        await take(queue, 5)
        camera.force_keyframe()
        captured = await take(queue, 10)
        assert [item.unit.keyframe for item in captured].count(True) == 1


async def test_a_clip_loops_without_a_hitch_in_real_time(tmp_path: Path) -> None:
    short = tmp_path / "a clip.mp4"
    ffmpeg = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-v", "error", "-i", str(CLIP), "-t", "2", "-c", "copy", str(short))
    )
    assert await ffmpeg.wait() == 0
    async with capturing(source=f"file:{short}") as (_, queue):
        began_s = time.monotonic()
        captured = await take(queue, 15 * 5)
        assert 4 < time.monotonic() - began_s < 7
        check_stream(captured, 15)


async def test_a_clip_of_another_rate_and_size_fits() -> None:
    async with capturing(source=f"file:{CLIP}", framerate=10) as (_, queue):
        check_stream(await take(queue, 12), 10)


@pytest.mark.parametrize(
    "fragment",
    [
        "videotestsrc is-live=true ! video/x-raw,framerate=30/1",
        "videotestsrc ! video/x-raw,framerate=15/1",
        "videotestsrc is-live=true ! video/x-raw,framerate=15/1 ! x264enc key-int-max=15"
        " tune=zerolatency",
    ],
    ids=["raw-live", "raw-not-live", "h264"],
)
async def test_fragments_of_pictures_and_of_h264(fragment: str) -> None:
    async with capturing(source=f"gst:{fragment}") as (camera, queue):
        check_stream(await take(queue, 25), 15)
        assert camera.replays == ("x264enc" in fragment)


async def test_a_source_that_ends_comes_back_as_a_new_run() -> None:
    source = "gst:videotestsrc num-buffers=8 is-live=true ! video/x-raw,framerate=15/1"
    async with capturing(source=source) as (_, queue):
        before = await take(queue, 8)
        check_stream(before, 15)
        after = await take(queue, 8)
        check_stream(after, 15)
        assert before[0].run.id != after[0].run.id


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("gst:nosuchelement", "no element"),
        ("gst:audiotestsrc", "video/x-h264 or video/x-h265"),
        ("file:/nowhere.mp4", "no file"),
        ("v4l2:/dev/nothing", "Cannot identify device"),
        ("rtsp://127.0.0.1:1/x", "Could not|not open"),
        ("auto", "no camera found"),
    ],
)
async def test_a_fault_is_told_and_tried_again(
    source: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with capturing(source=source) as (camera, _):
        async with asyncio.timeout(8):
            while caplog.text.count("next try") < 2:
                await asyncio.sleep(0.02)
        assert camera.fault is not None
        assert not camera.frames_advance
        assert re.search(told, camera.fault), camera.fault


async def test_a_source_that_stalls_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "STALL_S", 0.4)
    monkeypatch.setattr(feed_module, "LOOK_S", 0.1)
    source = "gst:videotestsrc is-live=true ! video/x-raw,framerate=15/1 ! valve drop=true"
    async with capturing(source=source) as (camera, _):
        async with asyncio.timeout(5):
            while "no picture" not in (camera.fault or ""):
                await asyncio.sleep(0.02)


async def test_a_step_of_the_system_clock_begins_a_run_and_moves_nothing_in_the_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "LOOK_S", 0.05)
    async with capturing(source="test", keyframe_interval=Duration(10)) as (_, queue):
        before = await take(queue, 15)
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
        run = before[0].run
        async with asyncio.timeout(5):
            while (item := await queue.get()).run is run:
                before.append(item)
        spacing_us = [b.unit.utc_us - a.unit.utc_us for a, b in pairwise(before)]
        assert min(spacing_us) > 60_000
        assert max(spacing_us) < 73_000
        assert item.unit.keyframe
        assert item.unit.number == 0
        step_s = (item.unit.utc_us - before[-1].unit.utc_us) / 1e6
        assert -3600 < step_s < -3598


async def test_another_size_in_mid_stream_is_another_run() -> None:
    def part(count: int, width: int) -> str:
        caps = f"video/x-raw,width={width},height=180,framerate=15/1"
        source = f"videotestsrc is-live=true num-buffers={count} ! {caps}"
        return f"{source} ! x264enc tune=zerolatency key-int-max=15 ! both."

    both = f"concat name=both  {part(20, 320)}  {part(200, 160)}  both. ! h264parse"
    async with capturing(source=f"gst:{both}") as (camera, queue):
        captured = await take(queue, 40, 20)
        runs = list(dict.fromkeys(item.run for item in captured))
        assert [(run.track.width, run.track.height) for run in runs] == [(320, 180), (160, 180)]
        assert runs[1].why == "the camera changed its picture"
        for run in runs:
            units = [item.unit for item in captured if item.run is run]
            assert units[0].keyframe
            assert [unit.number for unit in units] == list(range(len(units)))
        assert len([item for item in captured if item.run is runs[0]]) == 20
        assert camera.restarts == 0


async def test_an_encoder_that_comes_up_and_gives_nothing_is_not_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def launch(encoder: Encoder, video: Video) -> str:
        text = encoder_launch(encoder, video)
        if encoder.name != "openh264enc":
            return text
        return f"identity name=encoder error-after=1 ! {text.replace('name=encoder', '')}"

    monkeypatch.setattr("ucam.capture.sources.encoder_launch", launch)
    monkeypatch.setattr(encoder_module, "CANDIDATES", ("openh264enc", "x264enc"))
    async with capturing(source="test") as (camera, queue):
        check_stream(await take(queue, 10, 20), 15)
        assert camera.encoder is not None
        assert camera.encoder.name == "x264enc"
        assert "openh264enc" in camera.encoder.why
        assert camera.restarts == 1
