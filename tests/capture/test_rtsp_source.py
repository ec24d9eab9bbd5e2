"""Pass-through from an IP camera (gst-rtsp-server), sound beside its picture."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from capture.test_camera import capturing, take
from ucam.media.h264 import is_keyframe, nals
from ucam.media.h265 import FIRST_IRAP, LAST_IRAP, nal_type

SERVER = Path(__file__).with_name("rtsp_camera.py")


@asynccontextmanager
async def ip_camera(codec: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), codec, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(8):
            port = int(await process.stdout.readline())
        yield f"rtsp://viewer:secret@127.0.0.1:{port}/live", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_h264_passes_untouched_and_a_dead_camera_is_told() -> None:
    async with ip_camera("h264") as (url, process), capturing(source=url) as (camera, queue):
        captured = await take(queue, 40)
        assert camera.encoder is None
        assert camera.replays
        track = captured[0].run.track
        assert (track.width, track.height) == (320, 180)
        assert track.codec_string.startswith("avc1.4d")  # Main, as the camera made it
        units = [item.unit for item in captured]
        assert [unit.number for unit in units] == list(range(40))
        assert units[0].keyframe
        assert all(unit.keyframe == is_keyframe(unit.data) for unit in units)
        spacing_s = [(b.utc_us - a.utc_us) / 1e6 for a, b in pairwise(units[10:])]
        assert min(spacing_s) > 0
        assert max(spacing_s) < 0.2
        process.kill()
        async with asyncio.timeout(8):
            while camera.fault is None:
                await asyncio.sleep(0.02)
        assert "secret" not in camera.fault


async def test_h265_passes_untouched() -> None:
    async with ip_camera("h265") as (url, _), capturing(source=url) as (camera, queue):
        captured = await take(queue, 40)
        assert camera.encoder is None
        assert camera.replays
        track = captured[0].run.track
        assert (track.codec, track.width, track.height) == ("h265", 320, 180)
        units = [item.unit for item in captured]
        assert [unit.number for unit in units] == list(range(40))
        assert units[0].keyframe
        for unit in units:
            kinds = [nal_type(nal) for nal in nals(unit.data)]
            assert unit.keyframe == any(FIRST_IRAP <= kind <= LAST_IRAP for kind in kinds)


async def test_another_codec_is_told_by_its_name() -> None:
    async with ip_camera("vp8") as (url, _), capturing(source=url) as (camera, _queue):
        async with asyncio.timeout(8):
            while "VP8" not in (camera.fault or ""):
                await asyncio.sleep(0.02)
        assert camera.fault is not None
        assert "H.264 or H.265 is wanted" in camera.fault
        assert "secret" not in camera.fault
