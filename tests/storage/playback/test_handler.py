import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from media.clips import frame_md5
from storage.helpers import PLACE, START_US, Store, arrived, recorder, units
from ucam.base.times import format_utc, parse_utc
from ucam.storage.layout import Place
from ucam.storage.playback import backlog
from ucam.storage.playback.answers import Answer, Endless, FileSlice, Request
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.library import Library
from ucam.storage.recorder import Recorder
from ucam.storage.records import Durable

HERE = frozenset({"studio"})
MINUTE_US = 60_000_000


def content(answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    assert not isinstance(answer.body, Endless)
    data = answer.body.read(0, answer.body.length)
    answer.body.close()
    return data


def document(answer: Answer) -> Any:
    return json.loads(content(answer))


class Scene:
    """Two chunks of 2 s, a gap of almost a minute, one of 2 s, one that is open since 2 s."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self.store = store
        self.recorder = recorder
        self.held: tuple[int, int] | None = None
        self.handler = Handler(
            Library(
                store.root,
                store.index,
                recorder,
                on_device=lambda _place: self.held,
                now_us=lambda: START_US + 3 * MINUTE_US,
            )
        )

    async def get(
        self, path: str, wanted: str | None = None, locations: frozenset[str] = HERE
    ) -> Answer:
        return await self.handler.handle(Request(path, locations, wanted))


@pytest.fixture
async def scene(store: Store) -> AsyncIterator[Scene]:
    found = recorder(store)
    first = await found.begin(PLACE, "run1")
    for each in arrived(units(100)):
        first.push(each)
    await first.finish("the camera was switched off")
    second = await found.begin(PLACE, "run2")
    for each in arrived(units(100, start_us=START_US + MINUTE_US)):
        second.push(each)
    async with asyncio.timeout(5):
        while await found.durable(PLACE) != Durable("run2", 74, START_US + MINUTE_US + 2_960_000):
            await asyncio.sleep(0.01)
    yield Scene(store, found)
    await found.stop()


async def test_cameras(scene: Scene) -> None:
    answer = await scene.get("/cameras")
    assert answer.headers["content-type"] == "application/json"
    (camera,) = document(answer)["cameras"]
    assert camera["jid"] == "cam001@studio.loc"
    assert camera["first"] == "2026-11-22T05:30:00.123456Z"
    assert parse_utc(camera["last"]) == START_US + MINUTE_US + 3_000_000
    assert camera["bytes"] == sum(p.stat().st_size for p in scene.store.root.rglob("*Z*"))
    assert camera["days-left"] > 0


async def test_timeline(scene: Scene) -> None:
    window = f"from={format_utc(START_US - 1)}&to={format_utc(START_US + 2 * MINUTE_US)}"
    found = document(await scene.get(f"/cameras/{PLACE.jid}/timeline?{window}"))
    spans = [(parse_utc(s["from"]), parse_utc(s["to"])) for s in found["spans"]]
    spans = [(begin - START_US, end - START_US) for begin, end in spans]
    assert spans == [(0, 4_000_000), (MINUTE_US, MINUTE_US + 3_000_000)]
    (gap,) = found["gaps"]
    assert gap["reason"] == "the camera was switched off"
    assert parse_utc(gap["to"]) == START_US + MINUTE_US
    assert found["on-device"] == []
    # They were made long before this test wrote and sealed them; the open chunk isn't sealed.
    assert [(parse_utc(s["from"]), parse_utc(s["to"])) for s in found["arrived-later"]] == [
        (START_US, START_US + 4_000_000),
        (START_US + MINUTE_US, START_US + MINUTE_US + 2_000_000),
    ]
    assert found["activity"]["interval"] == 10
    assert len(found["activity"]["values"]) == 13
    assert all(0 <= value <= 1 for value in found["activity"]["values"])


async def test_what_was_sealed_in_time_did_not_arrive_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "LATE_US", 100 * 365 * 86_400_000_000)
    begin, end = format_utc(START_US), format_utc(START_US + 2 * MINUTE_US)
    found = document(await scene.get(f"/cameras/{PLACE.jid}/timeline?from={begin}&to={end}"))
    assert found["arrived-later"] == []


async def test_timeline_tells_the_gap_that_lasts_and_what_the_camera_holds(scene: Scene) -> None:
    await scene.recorder.stop()
    scene.held = (START_US + 2 * MINUTE_US, START_US + 3 * MINUTE_US)
    begin = format_utc(START_US + MINUTE_US)
    found = document(await scene.get(f"/cameras/{PLACE.jid}/timeline?from={begin}"))
    assert found["gaps"][-1]["reason"] == "storage was stopped"
    assert parse_utc(found["gaps"][-1]["to"]) == START_US + 3 * MINUTE_US
    assert parse_utc(found["on-device"][0]["from"]) == START_US + 2 * MINUTE_US


async def test_chunks_open_and_closed(scene: Scene) -> None:
    begin, end = format_utc(START_US), format_utc(START_US + 2 * MINUTE_US)
    found = document(await scene.get(f"/cameras/{PLACE.jid}/chunks?from={begin}&to={end}"))
    chunks = found["chunks"]
    assert [chunk["open"] for chunk in chunks] == [False, False, False, True]
    assert found["more"] is False
    for chunk in chunks:
        assert chunk["codecs"].startswith("avc1.")
        assert (chunk["width"], chunk["height"]) == (320, 240)
        assert chunk["fragments"][0][4] == 1
        starts = [fragment[2] for fragment in chunk["fragments"]]
        assert starts == [number * 1_000_000 for number in range(len(starts))]
        last = chunk["fragments"][-1]
        assert last[0] + last[1] == chunk["bytes"]
    assert chunks[0]["start"] == "2026-11-22T05:30:00.123456Z"
    assert chunks[0]["duration"] == 2.0


async def test_an_open_chunk_keeps_its_id_and_its_bytes_when_it_is_closed(scene: Scene) -> None:
    path = f"/cameras/{PLACE.jid}/chunks?from={format_utc(START_US + MINUTE_US + 2_500_000)}"
    (before,) = document(await scene.get(path))["chunks"]
    assert before["open"]
    offset, length, *_ = before["fragments"][0]
    wanted = f"bytes={offset}-{offset + length - 1}"
    answer = await scene.get(f"/chunks/{before['id']}", wanted)
    assert answer.status == 206
    piece = content(answer)
    assert len(piece) == length
    assert piece[4:8] == b"prft"
    await scene.recorder.stop()
    (after,) = document(await scene.get(path))["chunks"]
    assert not after["open"]
    assert after["id"] == before["id"]
    assert after["init"] == before["init"]
    assert after["fragments"][: len(before["fragments"])] == before["fragments"]
    assert content(await scene.get(f"/chunks/{after['id']}", wanted)) == piece


async def test_bytes_of_init_and_fragments_play(scene: Scene, tmp_path: Any) -> None:
    found = document(await scene.get(f"/cameras/{PLACE.jid}/chunks?from={format_utc(START_US)}"))
    chunk = found["chunks"][1]
    pieces = [chunk["init"], *([f[0], f[1]] for f in chunk["fragments"])]
    data = b""
    for offset, length in pieces:
        data += content(
            await scene.get(f"/chunks/{chunk['id']}", f"bytes={offset}-{offset + length - 1}")
        )
    (tmp_path / "joined.mp4").write_bytes(data)
    assert len(frame_md5(tmp_path / "joined.mp4")) == 50


async def test_a_slice_outlives_rotation(scene: Scene) -> None:
    answer = await scene.get(f"/chunks/{START_US}")
    assert isinstance(answer.body, FileSlice)
    scene.store.files()[0].unlink()
    assert len(content(answer)) == answer.length
    assert (await scene.get(f"/chunks/{START_US}")).status == 404


WHOLE = -1


@pytest.mark.parametrize(
    ("wanted", "status", "length"),
    [
        ("bytes=0-99", 206, 100),
        ("bytes=-50", 206, 50),
        ("bytes=10-10", 206, 1),
        ("bytes=99999999-", 416, None),
        ("bytes=5-4", 416, None),
        ("bytes=-", 400, None),
        ("bytes=0-1,5-6", 200, WHOLE),
        ("bytes=" + "1" * 5000 + "-", 400, None),
        ("pages=1-2", 200, WHOLE),
    ],
)
async def test_ranges(scene: Scene, wanted: str, status: int, length: int | None) -> None:
    answer = await scene.get(f"/chunks/{START_US}", wanted)
    assert answer.status == status
    data = content(answer)
    size = scene.store.files()[0].stat().st_size
    if length is not None:
        assert len(data) == (size if length == WHOLE else length)
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("locations", [frozenset(), frozenset({"shop"})])
async def test_what_may_not_be_seen_is_like_what_is_not_there(
    scene: Scene, locations: frozenset[str]
) -> None:
    for seen, absent in [
        (f"/cameras/{PLACE.jid}/timeline", "/cameras/nobody@studio.loc/timeline"),
        (f"/cameras/{PLACE.jid}/chunks", "/cameras/nobody@studio.loc/chunks"),
        (f"/chunks/{START_US}", "/chunks/12345"),
        (f"/chunks/{START_US + MINUTE_US + 2_000_000}", "/chunks/12345"),
    ]:
        assert (await scene.get(seen, locations=locations)) == (await scene.get(absent))
        assert (await scene.get(absent)).status == 404
    assert document(await scene.get("/cameras", locations=locations)) == {"cameras": []}


@pytest.mark.parametrize(
    "path",
    ["", "/", "/camera", "/cameras/", "/chunks/", "/chunks/-1", "/chunks/x", "/../etc/passwd"],
)
async def test_there_is_nothing_else(scene: Scene, path: str) -> None:
    assert (await scene.get(path)).status == 404


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2020-01-01T00:00:00Z&from=2026-01-01T00:00:00Z"]
)
async def test_times_that_make_no_sense(scene: Scene, query: str) -> None:
    answer = await scene.get(f"/cameras/{PLACE.jid}/timeline?{query}")
    assert answer.status == 400
    assert document(answer)["error"]["code"] == "bad-time"


async def test_a_camera_of_two_locations_is_two(store: Store) -> None:
    other = Place("shop", PLACE.jid)
    store.record(50)
    found = recorder(store)
    recording = await found.begin(other, "run9")
    for each in arrived(units(50, start_us=START_US + 5_000_000)):
        recording.push(each)
    await recording.finish("unplugged")
    scene = Scene(store, found)
    window = f"from={format_utc(START_US - 1)}"
    path = f"/cameras/{PLACE.jid}/chunks?{window}"
    (here,) = document(await scene.get(path))["chunks"]
    (there,) = document(await scene.get(path, locations=frozenset({"shop"})))["chunks"]
    assert (here["id"], there["id"]) == (START_US, START_US + 5_000_000)
