"""What a pipeline's pipe must bear."""

import asyncio
import os
import time
from itertools import pairwise

from ucam.capture.coded import Picture
from ucam.capture.pipe import PIPE_BYTES
from ucam.capture.pipeline import Pipeline
from ucam.capture.sources import H264_CAPS, SINK

# Noise of 3 MB a second: the pipe is full in a moment.
LAUNCH = (
    "videotestsrc is-live=true pattern=snow ! video/x-raw,width=320,height=180,framerate=30/1"
    f" ! x264enc tune=zerolatency speed-preset=ultrafast quantizer=1 pass=quant ! {H264_CAPS}"
    f" ! {SINK}"
)


async def test_a_loop_that_was_away_gets_everything_and_a_full_pipe_can_be_stopped() -> None:
    pictures: list[Picture] = []
    ends: list[str] = []
    pipeline = Pipeline("test", LAUNCH, Picture, pictures.append, ends.append)
    files = len(os.listdir("/proc/self/fd"))
    await pipeline.start()
    async with asyncio.timeout(30):
        while not pictures:
            await asyncio.sleep(0.01)
    time.sleep(1.5)  # the loop, and nobody reads
    async with asyncio.timeout(30):
        while sum(len(picture.data) for picture in pictures) < 2 * PIPE_BYTES:
            await asyncio.sleep(0.01)
    steps = {b.clock_ns - a.clock_ns for a, b in pairwise(pictures)}
    assert min(steps) > 0
    time.sleep(1.5)
    async with asyncio.timeout(30):
        await pipeline.stop()
    assert ends == []
    assert len(os.listdir("/proc/self/fd")) < files


async def test_what_came_before_a_fault_is_given() -> None:
    pictures: list[Picture] = []
    ends: list[str] = []
    launch = LAUNCH.replace(f" ! {SINK}", f" ! identity error-after=21 ! {SINK}")
    pipeline = Pipeline(
        "test", launch, Picture, pictures.append, ends.append, waited_for=lambda: False
    )
    await pipeline.start()
    async with asyncio.timeout(30):
        while not ends:
            await asyncio.sleep(0.01)
        await pipeline.stop()
    assert len(pictures) == 20
