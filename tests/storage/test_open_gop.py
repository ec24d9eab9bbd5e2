"""H.265 with open groups of pictures, as x265 makes it by default: a keyframe (CRA) is followed by
pictures that are shown before it and refer to what came before it (RASL, H.265 §3.117). A chunk
that begins with one keeps them: a decoder that begins there passes them over by itself
(§8.1.3), one that comes from the chunk before shows them.
"""

import subprocess
from functools import cache
from pathlib import Path

import av
import pytest

from media.clips import Clip, access_unit, frame_md5
from storage.helpers import PLACE, START_US, Store, recorder
from storage.playback.scenes import MINUTE_US, SECOND_US, Scene, content, window
from support.probe import decode_errors, frame_count
from ucam.media import h264, h265
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds
from ucam.media.hvcc import parse_hvcc
from ucam.media.track import VideoTrack
from ucam.storage.stream import Arrived

CRA, RASL = 21, (8, 9)
PICTURES = 150


@cache
def open_clip(tmp: Path) -> Clip:
    path = tmp / "open.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
    command += ["-frames:v", str(PICTURES), "-pix_fmt", "yuv420p", "-c:v", "libx265"]
    coder = "log-level=error:open-gop=1:keyint=26:scenecut=0:bframes=3:b-adapt=0"
    command += ["-preset", "veryfast", "-x265-params", coder, "-tag:v", "hvc1", str(path)]
    subprocess.run(command, check=True, timeout=60)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sets = parse_hvcc(stream.codec_context.extradata or b"")
        base = stream.time_base
        assert base is not None
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        units = tuple(
            access_unit(bytes(p), round((p.pts or 0) * base * 90_000), p.is_keyframe, n)
            for n, p in enumerate(packets)
        )
    return Clip(tuple(sets), units, frame_md5(path))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return open_clip(tmp_path_factory.mktemp("clip"))


def kinds(unit: AccessUnit) -> list[int]:
    return [h265.nal_type(nal) for nal in h264.nals(unit.data)]


async def test_each_chunk_decodes_alone_and_all_of_them_show_every_picture(
    store: Store, tmp_path: Path, clip: Clip
) -> None:
    skipped = [any(kind in RASL for kind in kinds(unit)) for unit in clip.units]
    begins = [n for n, unit in enumerate(clip.units) if CRA in kinds(unit)]
    assert len(begins) >= 4
    assert sum(skipped) >= 4
    found = recorder(store, chunk_us=2 * SECOND_US)
    recording = await found.begin(PLACE, "run1")
    track = VideoTrack.h265(clip.parameter_sets)
    for unit in clip.units:
        utc_us = START_US + microseconds(unit.pts_90k)
        recording.push(Arrived(unit._replace(utc_us=utc_us), track, stepped=False))
    await recording.finish("the camera was switched off")
    files = store.files()
    assert len(files) == 3
    at = 0
    for number, path in enumerate(files):
        assert decode_errors(path) == ""
        with av.open(str(path)) as container:
            count = sum(1 for p in container.demux(video=0) if p.pts is not None)
        leading = 0
        if number:
            following = next(n for n in range(at + 1, at + count) if clip.units[n].keyframe)
            leading = sum(skipped[at:following])
            assert leading
        assert frame_count(path) == count - leading
        at += count
    assert at == PICTURES
    scene = Scene(store, found)
    whole = tmp_path / "whole.mp4"
    whole.write_bytes(content(await scene.camera(f"export?{window(-SECOND_US, MINUTE_US)}")))
    assert frame_md5(whole) == clip.md5
