from storage.helpers import PLACE, START_US, Store
from storage.playback.scenes import MINUTE_US, SECOND_US, Scene, document, window
from ucam.base.times import format_utc
from ucam.storage.playback.answers import Answer, Method


async def ask(scene: Scene, method: Method, query: str = "", role: str = "user") -> Answer:
    path = f"/cameras/{PLACE.jid}/protect" + (f"?{query}" if query else "")
    return await scene.get(path, method=method, role=role)


async def test_protect_list_release(store: Store) -> None:
    store.record(200)
    store.space.set_limits(100_000_000, 0)
    scene = Scene(store)
    found = document(await ask(scene, "PUT", window(SECOND_US, 3 * SECOND_US)))
    (span,) = found["protected"]
    assert span == {
        "from": format_utc(START_US + SECOND_US),
        "to": format_utc(START_US + 3 * SECOND_US),
        "by": "owner@shop.loc",
        "since": format_utc(scene.now_us),
    }
    assert found["bytes"] == sum(path.stat().st_size for path in store.files()[:2])
    assert found["total"] == found["bytes"]
    assert found["limit"] > found["total"]
    assert document(await ask(scene, "GET", role="player")) == found
    timeline = document(await scene.camera(f"timeline?{window(0, MINUTE_US)}"))
    assert timeline["protected"] == [{"from": span["from"], "to": span["to"]}]
    left = document(await ask(scene, "DELETE", window(0, 2 * SECOND_US)))
    assert [each["from"] for each in left["protected"]] == [format_utc(START_US + 2 * SECOND_US)]
    assert document(await ask(scene, "DELETE", window(0, MINUTE_US)))["protected"] == []
    assert (await ask(scene, "DELETE", window(0, MINUTE_US))).status == 404


async def test_a_player_only_looks(store: Store) -> None:
    store.record(50)
    scene = Scene(store)
    for method in ("PUT", "DELETE"):
        answer = await ask(scene, method, window(0, SECOND_US), role="player")
        assert answer.status == 403
    assert document(await ask(scene, "GET"))["protected"] == []


async def test_what_can_not_be_protected(store: Store) -> None:
    store.record(50)
    scene = Scene(store)
    assert (await ask(scene, "PUT", window(0, 4 * MINUTE_US))).status == 400
    assert (await ask(scene, "PUT", f"from={format_utc(START_US)}")).status == 400
    assert (await ask(scene, "PUT", window(MINUTE_US, 2 * MINUTE_US))).status == 404
    store.space.set_limits(store.files()[0].stat().st_size, 0)
    answer = await ask(scene, "PUT", window(0, SECOND_US))
    assert answer.status == 409
    assert document(answer)["error"]["code"] == "too-much"
    assert document(await ask(scene, "GET"))["protected"] == []
