import asyncio
import io
import re

import av
import pytest

from media.clips import clip
from storage.helpers import PLACE, START_US, Store
from storage.playback.scenes import MINUTE_US, SECOND_US, Scene, content, document, film, window
from ucam.base.times import format_utc, parse_utc
from ucam.storage import changes
from ucam.storage.database import Database
from ucam.storage.playback import thumbnails
from ucam.storage.playback.thumbnails import PICTURES


@pytest.fixture
async def scene(store: Store) -> Scene:
    scene = Scene(store)
    await film(scene.recorder, clip(frames=100, b_frames=2), START_US, "run1")
    return scene


def brightness(data: bytes) -> list[bool]:
    """For each cell of a sheet whether anything but black is in it."""
    with av.open(io.BytesIO(data), "r") as container:
        (picture,) = container.decode(video=0)
    assert (picture.width, picture.height) == (1600, 540)
    grey = picture.reformat(format="gray")
    data, line = bytes(grey.planes[0]), grey.planes[0].line_size
    return [
        max(data[(row * 90 + 45) * line + column * 160 :][20:140]) > 60
        for row in range(6)
        for column in range(10)
    ]


async def test_pictures_are_where_the_description_says(scene: Scene) -> None:
    found = document(await scene.camera(f"thumbnails?{window(0, 5 * SECOND_US)}"))
    assert found["interval"] == 1
    (sheet,) = found["sheets"]
    assert len(sheet["times"]) == PICTURES
    taken = [parse_utc(at) - START_US for at in sheet["times"] if at]
    assert taken == pytest.approx([0, SECOND_US, 2 * SECOND_US, 3 * SECOND_US], abs=20_000)
    assert re.fullmatch(r"sheet\?from=\S+&interval=1", sheet["sheet"])
    answer = await scene.camera(sheet["sheet"])
    assert answer.headers["content-type"] == "image/webp"
    data = content(answer)
    assert data[:4] == b"RIFF"
    assert brightness(data) == [at is not None for at in sheet["times"]]


async def test_a_longer_window_has_fewer_pictures_a_second(scene: Scene) -> None:
    found = document(await scene.camera(f"thumbnails?{window(-60 * MINUTE_US, MINUTE_US)}"))
    assert found["interval"] == 120
    assert sum(1 for at in found["sheets"][0]["times"] if at) == 1


async def test_a_sheet_is_made_once_and_the_cache_is_bounded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = document(await scene.camera(f"thumbnails?{window(0, 5 * SECOND_US)}"))
    address = found["sheets"][0]["sheet"]
    made = thumbnails._make
    count = 0

    def counting(*args: object) -> bytes:
        nonlocal count
        count += 1
        return made(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(thumbnails, "_make", counting)
    answers = await asyncio.gather(*(scene.camera(address) for _ in range(5)))
    assert len({content(answer) for answer in answers}) == 1
    await scene.camera(address)
    assert count == 1
    monkeypatch.setattr(thumbnails, "MOST_CACHED_BYTES", 1)
    other = address.replace("interval=1", "interval=2")
    assert (await scene.camera(other)).status == 200
    await scene.camera(address)
    assert count == 3


async def test_too_many_at_a_time_are_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST_WAITING", 2)
    asked = [f"sheet?{window(-n, 0).partition('&')[0]}&interval={n}" for n in range(1, 7)]
    answers = await asyncio.gather(*(scene.camera(path) for path in asked))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 2
    assert statuses.count(429) == 4


async def test_a_chunk_that_went_leaves_its_cell_black(scene: Scene) -> None:
    found = document(await scene.camera(f"thumbnails?{window(0, 5 * SECOND_US)}"))
    scene.store.files()[0].unlink()
    seen = brightness(content(await scene.camera(found["sheets"][0]["sheet"])))
    assert seen.count(True) == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("sheet?interval=1", 400),
        ("sheet?from=2026-11-22T05:00:00Z&interval=0", 400),
        ("sheet?from=2026-11-22T05:00:00Z&interval=x", 400),
        ("sheet?from=2020-11-22T05:00:00Z&interval=1", 404),
        ("thumbnails?from=2026-01-01T00:00:00Z&interval=1", 400),
    ],
)
async def test_what_can_not_be_had(scene: Scene, path: str, status: int) -> None:
    assert (await scene.camera(path)).status == status


async def test_the_timeline_learns_from_pictures(store: Store) -> None:
    """Ten seconds in which nothing moves but the coder's noise, then ten in which much does."""
    scene = Scene(store)
    behind = "color=gray:size=320x240:rate=25,noise=alls=6:allf=t[behind]"
    somebody = "color=white:size=80x160:rate=25[somebody]"
    walks = "[behind][somebody]overlay=x='if(gt(t,10),mod(t*90,240),0)':y=40"
    moving = f"{behind};{somebody};{walks}"
    source = clip(frames=500, b_frames=0, source=moving)
    await film(scene.recorder, source, START_US, "run1")
    timeline = f"timeline?{window(0, 20 * SECOND_US)}"
    before = document(await scene.camera(timeline))["activity"]["values"]
    first = format_utc(START_US // MINUTE_US * MINUTE_US)
    address = f"sheet?from={first}&interval=1"
    assert (await scene.camera(address)).status == 200
    after = document(await scene.camera(timeline))["activity"]["values"]
    assert after != before
    assert max(after[:1]) < 0.1
    assert max(after[1:]) > 0.5
    # It is kept: a restart knows it, too.
    again = document(await Scene(store, scene.recorder).camera(timeline))["activity"]["values"]
    assert again == after


def test_what_is_kept_of_changes_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_ROWS", 50)
    seen = [changes.Change(n * 10 * SECOND_US, n * 10 * SECOND_US + 1, 0.5) for n in range(80)]
    store.index.call(Database.note_changes, PLACE, seen)
    kept = store.index.call(Database.changes, PLACE, 0, 10_000 * SECOND_US)
    assert [change.from_us // (10 * SECOND_US) for change in kept] == list(range(30, 80))
    store.index.call(Database.note_changes, PLACE, [changes.Change(seen[-1][0], seen[-1][0], 1.0)])
    store.index.call(Database.note_changes, PLACE, [changes.Change(seen[-1][0], seen[-1][0], 0.0)])
    assert store.index.call(Database.changes, PLACE, seen[-1][0], seen[-1][1])[0].value == 1.0
