"""The numbers are in the pictures, in front of and behind an encoder."""

import asyncio
from pathlib import Path

import av
import pytest

from ucam.capture import counter
from ucam.capture.coded import Picture
from ucam.capture.config import Video
from ucam.capture.encoder import choose_encoder
from ucam.capture.gst import ThisMachine, has_element, proves
from ucam.capture.pipeline import Pipeline
from ucam.capture.sources import launch_text, plan
from ucam.media.h264 import nals


@pytest.mark.parametrize("width", [320, 640, 1920])
async def test_coded_pictures_say_their_number(width: int) -> None:
    video = Video(source="test", width=width, height=width * 9 // 16, framerate=15)
    source = plan(video, ThisMachine())
    encoder = choose_encoder("auto", has_element, proves)
    enough = asyncio.Event()
    pictures: list[Picture] = []

    def take(picture: Picture) -> None:
        pictures.append(picture)
        if len(pictures) == 20:
            enough.set()

    pipeline = Pipeline("test", launch_text(source, video, encoder), Picture, take, print)
    await pipeline.start()
    try:
        async with asyncio.timeout(30):
            await enough.wait()
    finally:
        await pipeline.stop()
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    seen: list[int | None] = []
    for picture in pictures[:20]:
        found = [*(pictures[0].format.parameter_sets if not seen else ()), *nals(picture.data)]
        data = b"".join(b"\0\0\0\1" + bytes(nal) for nal in found)
        for frame in decoder.decode(av.Packet(data)):
            assert isinstance(frame, av.VideoFrame)
            plane = frame.planes[0]
            seen.append(counter.read(bytes(plane), plane.line_size, frame.width, frame.height))
    assert seen == list(range(len(seen)))
    assert len(seen) > 10


def test_a_picture_without_room_has_none() -> None:
    assert counter.launch(160) == ""
    assert counter.read(bytes(160 * 90), 160, 160, 90) is None


def test_a_picture_without_the_squares_has_no_number() -> None:
    assert counter.read(bytes(640 * 360), 640, 640, 360) is None
    assert counter.read(b"\xff" * (640 * 360), 640, 640, 360) is None
    side = counter.square(640)
    row = b"".join(bytes([255 * (n % 2)]) * side for n in range(4 + counter.BITS))
    picture = (row + bytes(640 - len(row))) * 360
    assert counter.read(picture, 640, 640, 360) == int("01" * 12, 2)


def test_it_lies_in_the_test_picture_alone(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    assert counter.ELEMENT in plan(Video(source="test"), ThisMachine()).launch
    assert counter.ELEMENT not in plan(Video(source=f"file:{clip}"), ThisMachine()).launch
