"""A download that was interrupted goes on, or begins anew: never with bytes of another file."""

import pytest

from media.clips import clip
from storage.helpers import PLACE, START_US, Store, recorder
from storage.playback.scenes import MINUTE_US, SECOND_US, Scene, content, film, of_clip, window

CHUNK = f"/chunks/{START_US}"


@pytest.fixture
async def scene(store: Store) -> Scene:
    found = recorder(store, chunk_us=2 * SECOND_US)
    await film(found, clip(frames=100, b_frames=0), START_US, "run1")
    return Scene(store, found)


def resources() -> list[str]:
    export = f"/cameras/{PLACE.jid}/export?{window(0, MINUTE_US)}"
    return [CHUNK, export, f"{export}&bundle=1"]


@pytest.mark.parametrize("resource", resources())
async def test_a_download_goes_on(scene: Scene, resource: str) -> None:
    first = await scene.get(resource)
    assert first.status == 200
    whole, etag = content(first), first.headers["etag"]
    rest = await Scene(scene.store).get(resource, "bytes=1000-", if_range=etag)
    assert rest.status == 206
    assert rest.headers["etag"] == etag
    assert content(rest) == whole[1000:]


@pytest.mark.parametrize("resource", resources())
@pytest.mark.parametrize("if_range", ['"another"', "Sun, 22 Nov 2026 05:30:00 GMT", "W/{}"])
async def test_of_another_file_all_is_sent(scene: Scene, resource: str, if_range: str) -> None:
    etag = (await scene.get(resource)).headers["etag"]
    answer = await scene.get(resource, "bytes=1000-", if_range=if_range.format(etag))
    assert answer.status == 200
    assert "content-range" not in answer.headers
    assert len(content(answer)) == answer.length


@pytest.mark.parametrize("resource", [*resources(), "sheet"])
async def test_what_is_known_is_not_sent_again(scene: Scene, resource: str) -> None:
    if resource == "sheet":
        resource = f"/cameras/{PLACE.jid}/sheet?{window(0, 1).partition('&')[0]}&interval=1"
    etag = (await scene.get(resource)).headers["etag"]
    for known in (etag, f'"x", W/{etag.removeprefix("W/")}', "*"):
        answer = await scene.get(resource, "bytes=0-9", if_none_match=known)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == etag
    answer = await scene.get(resource, if_none_match='"another"')
    assert answer.status == 200
    answer.close()


async def test_an_export_that_has_grown_is_another_file(scene: Scene) -> None:
    resource = f"/cameras/{PLACE.jid}/export?{window(0, MINUTE_US)}"
    before = (await scene.get(resource)).headers["etag"]
    more = clip(frames=50, b_frames=0)
    await film(scene.recorder, more, START_US + 10 * SECOND_US, "run2")
    answer = await scene.get(resource, "bytes=1000-", if_range=before)
    assert answer.status == 200
    assert answer.headers["etag"] != before
    answer.close()


async def test_a_chunk_that_is_being_written_has_no_tag(store: Store) -> None:
    found = recorder(store, chunk_us=MINUTE_US)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    for each in of_clip(clip(frames=100, b_frames=0), START_US):
        recording.push(each)
    answer = await scene.camera("live.mp4")  # waits for the first fragment
    assert answer.status == 200
    growing = await scene.get(CHUNK, "bytes=0-99", if_none_match="*")
    assert growing.status == 206
    assert "etag" not in growing.headers
    growing.close()
    assert (await scene.get(CHUNK, "bytes=0-99", if_range='"x"')).status == 200
    await recording.finish("the camera was switched off")
