import asyncio
import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from media.clips import Clip, clip, frame_md5
from storage.helpers import PLACE, START_US, Store, recorder
from storage.playback.scenes import (
    MINUTE_US,
    SECOND_US,
    Scene,
    content,
    document,
    film,
    of_clip,
    window,
)


def probe(path: Path) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def times(path: Path) -> list[float]:
    """When each picture is shown."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_frames", "-select_streams", "v"]
    done = subprocess.run([*command, str(path)], check=True, capture_output=True, timeout=30)
    return [
        float(frame["best_effort_timestamp_time"]) for frame in json.loads(done.stdout)["frames"]
    ]


@pytest.fixture
def bframes() -> Clip:
    return clip(frames=100, b_frames=2)


async def export(scene: Scene, path: Path, begin_us: int, end_us: int) -> bytes:
    answer = await scene.camera(f"export?{window(begin_us, end_us)}")
    assert answer.status == 200
    data = content(answer)
    path.write_bytes(data)
    return data


async def test_every_picture_from_zero_on(store: Store, tmp_path: Path, bframes: Clip) -> None:
    scene = Scene(store)
    await film(scene.recorder, bframes, START_US, "run1")
    assert len(store.files()) == 2
    path = tmp_path / "export.mp4"
    data = await export(scene, path, -SECOND_US, MINUTE_US)
    assert data[4:8] == b"ftyp"
    assert data[int.from_bytes(data[:4]) :][4:8] == b"moov"
    assert frame_md5(path) == bframes.md5
    shown = times(path)
    assert shown[0] == 0
    assert shown == pytest.approx([n / 25 for n in range(100)], abs=0.0015)
    found = probe(path)
    assert float(found["format"]["duration"]) == pytest.approx(4, abs=0.002)
    assert found["streams"][0]["nb_frames"] == "100"


async def test_it_begins_where_it_was_asked_to_and_ends_there(
    store: Store, tmp_path: Path, bframes: Clip
) -> None:
    scene = Scene(store)
    await film(scene.recorder, bframes, START_US, "run1")
    path = tmp_path / "export.mp4"
    await export(scene, path, 1_500_000, 3_200_000)
    # Decoded from the keyframe at 1 s on, shown from 1.5 s on.
    md5 = frame_md5(path)
    assert md5 == bframes.md5[38:80]
    assert float(probe(path)["format"]["duration"]) == pytest.approx(1.7, abs=0.002)


async def test_gaps_are_left_out(store: Store, tmp_path: Path, bframes: Clip) -> None:
    scene = Scene(store)
    await film(scene.recorder, bframes, START_US, "run1")
    await film(scene.recorder, bframes, START_US + MINUTE_US, "run2")
    path = tmp_path / "export.mp4"
    await export(scene, path, 0, 2 * MINUTE_US)
    assert frame_md5(path) == bframes.md5 * 2
    shown = times(path)
    steps = [after - before for before, after in pairwise(shown)]
    assert steps == pytest.approx([0.04] * 199, abs=0.0025)


async def test_any_range_is_a_part_of_the_whole(store: Store, bframes: Clip) -> None:
    scene = Scene(store)
    await film(scene.recorder, bframes, START_US, "run1")
    path = f"export?{window(0, MINUTE_US)}"
    whole = content(await scene.camera(path))
    size = len(whole)
    for begin, end in [(0, 1), (0, size), (40, 5000), (size - 1, size), (3000, size - 77)]:
        answer = await scene.camera(path, f"bytes={begin}-{end - 1}")
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert content(answer) == whole[begin:end]
    assert (await scene.camera(path, f"bytes={size}-")).status == 416


async def test_the_open_chunk_is_in_it_and_may_be_closed_meanwhile(
    store: Store, tmp_path: Path
) -> None:
    source = clip(frames=60, b_frames=0)
    found = recorder(store, chunk_us=MINUTE_US)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    for each in of_clip(source, START_US):
        recording.push(each)
    async with asyncio.timeout(5):
        while (last := await found.durable(PLACE)) is None or last.number < 49:
            await asyncio.sleep(0.01)
    answer = await scene.camera(f"export?{window(0, MINUTE_US)}")
    await recording.finish("the camera was switched off")
    (tmp_path / "open.mp4").write_bytes(content(answer))
    assert frame_md5(tmp_path / "open.mp4") == source.md5[:50]


async def test_its_name_says_camera_and_time(store: Store, bframes: Clip) -> None:
    scene = Scene(store)
    await film(scene.recorder, bframes, START_US, "run1")
    answer = await scene.camera(f"export?{window(0, MINUTE_US)}")
    answer.close()
    assert 'filename="cam001 2026-11-22 05.30.00 UTC.mp4"' in answer.headers["content-disposition"]


async def test_parameter_sets_that_change_are_both_in_it(store: Store, tmp_path: Path) -> None:
    scene = Scene(store)
    small, other = clip(frames=25, b_frames=0), clip(frames=25, b_frames=0, options="cabac=0")
    assert small.parameter_sets != other.parameter_sets
    await film(scene.recorder, small, START_US, "run1")
    await film(scene.recorder, other, START_US + SECOND_US, "run2")
    path = tmp_path / "export.mp4"
    await export(scene, path, 0, MINUTE_US)
    assert frame_md5(path) == small.md5 + other.md5


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (window(MINUTE_US, 2 * MINUTE_US), 404),
        ("from=2020-01-01T00:00:00Z&to=2026-11-22T05:30:01Z", 400),
        ("from=now", 400),
    ],
)
async def test_what_can_not_be_had(store: Store, query: str, status: int) -> None:
    scene = Scene(store)
    await film(scene.recorder, clip(frames=25, b_frames=0), START_US, "run1")
    answer = await scene.camera(f"export?{query}")
    assert answer.status == status
    assert document(answer)["error"]["text"]
