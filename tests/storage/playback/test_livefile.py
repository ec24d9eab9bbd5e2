import asyncio
from itertools import pairwise
from pathlib import Path

from media.clips import clip, frame_md5
from storage.helpers import PLACE, START_US, Store, recorder
from storage.playback.scenes import MINUTE_US, SECOND_US, Scene, content, document, of_clip
from ucam.media.scan import scan
from ucam.storage.playback.answers import Endless


async def test_it_goes_on_over_chunks_and_pauses_from_zero_on(store: Store, tmp_path: Path) -> None:
    source = clip(frames=100, b_frames=2)
    found = recorder(store, chunk_us=MINUTE_US)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    pictures = list(of_clip(source, START_US))
    for each in pictures[:30]:
        recording.push(each)
    async with asyncio.timeout(5):
        while not scene.library.live_of(PLACE):
            await asyncio.sleep(0.005)
    answer = await scene.camera("live.mp4")
    assert isinstance(answer.body, Endless)
    assert answer.length is None
    blocks = answer.body.blocks
    data = await anext(blocks) + await anext(blocks)
    for each in pictures[30:]:
        recording.push(each)
    await recording.finish("the camera was switched off")
    following = await found.begin(PLACE, "run2")
    for each in of_clip(source, START_US + MINUTE_US):
        following.push(each)
    async with asyncio.timeout(5):
        for _ in range(6):
            data += await anext(blocks)
    await following.finish("the camera was switched off")
    path = tmp_path / "live.mp4"
    path.write_bytes(data)
    assert frame_md5(path) == (source.md5 * 2)[: 7 * 25]
    read = scan(data)
    begins = [fragment.dts_90k for fragment in read.fragments]
    assert begins[0] == 0
    steps = [after - before for before, after in pairwise(begins)]
    assert all(abs(step - 90_000) < 2000 for step in steps)


async def test_a_camera_that_has_just_connected_is_waited_for(store: Store) -> None:
    found = recorder(store)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    asked = [asyncio.create_task(scene.camera(resource)) for resource in ("live.mp4", "hls.m3u8")]
    answered, _ = await asyncio.wait(asked, timeout=0.2)
    assert not answered
    for each in of_clip(clip(frames=100, b_frames=0), scene.now_us - 4 * SECOND_US):
        recording.push(each)
    async with asyncio.timeout(10):
        live, playlist = await asyncio.gather(*asked)
    assert isinstance(live.body, Endless)
    await anext(live.body.blocks)
    assert "#EXTINF" in content(playlist).decode()
    await recording.finish("the camera was switched off")


async def test_a_chunk_that_is_closed_before_it_is_read(store: Store) -> None:
    found = recorder(store, chunk_us=MINUTE_US)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    for each in of_clip(clip(frames=50, b_frames=0), START_US):
        recording.push(each)
    answer = await scene.camera("live.mp4")
    await recording.finish("the camera was switched off")
    assert isinstance(answer.body, Endless)
    assert store.files("*.part") == []
    first, second = await anext(answer.body.blocks), await anext(answer.body.blocks)
    assert len(first + second) > 1000


async def test_it_ends_when_the_camera_changes_its_picture(store: Store) -> None:
    found = recorder(store)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    for each in of_clip(clip(frames=50, b_frames=0), START_US):
        recording.push(each)
    async with asyncio.timeout(5):
        while not scene.library.live_of(PLACE):
            await asyncio.sleep(0.005)
        answer = await scene.camera("live.mp4")
        assert isinstance(answer.body, Endless)
        blocks = answer.body.blocks
        await anext(blocks)
        other = clip(frames=50, b_frames=0, options="cabac=0")
        for each in of_clip(other, START_US + 2 * SECOND_US, 50):
            recording.push(each)
        assert len([block async for block in blocks]) >= 1
    await recording.finish("the camera was switched off")


async def test_a_camera_that_is_not_recorded(store: Store) -> None:
    store.record(25)
    answer = await Scene(store).camera("live.mp4")
    assert answer.status == 409
    assert document(answer)["error"]["code"] == "not-recorded"
