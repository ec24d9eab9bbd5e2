"""Codes for new devices, made on the page."""

from typing import Any

import httpx

from ucam.web.invites import MADE_EACH
from web.helpers import ANN, BOB, DISK, TILL, YARD, Running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def invite(web: Running, token: str, jid: str) -> httpx.Response:
    return await web.http.post("/invites", headers=bearer(token), json={"jid": jid})


async def invitable(web: Running, token: str) -> dict[str, bool]:
    """Whom a code may be made for, and whether it has been here before."""
    answer = await web.http.get("/invites", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return {one["jid"]: one["back"] for one in answer.json()["devices"]}


async def test_a_code_made_on_the_page_sets_a_camera_up(web: Running) -> None:
    ann = await web.log_in(ANN)
    assert await invitable(web, ann) == {YARD: False, TILL: False, DISK: False}
    made = (await invite(web, ann, TILL)).json()
    assert made["command"] == f"ucam enroll {web.url} {made['code']}"
    size = len(made["picture"])
    assert size >= 21
    assert all(len(row) == size and set(row) <= {"0", "1"} for row in made["picture"])
    answer = await web.http.post("/enroll", json={"code": made["code"]})
    assert answer.json()["jid"] == TILL
    async with web.room(answer.json()["token"]) as camera:
        assert camera.jid.startswith(TILL)
    # Once.
    assert (await web.http.post("/enroll", json={"code": made["code"]})).status_code == 401


async def test_only_who_sees_every_location_makes_codes(web: Running) -> None:
    bob = await web.log_in(BOB)
    for answer in (
        await web.http.get("/invites", headers=bearer(bob)),
        await invite(web, bob, TILL),
    ):
        assert answer.status_code == 403
        assert "every location" in answer.json()["error"]["text"]


async def test_who_is_here_is_not_replaced(web: Running) -> None:
    ann = await web.log_in(ANN)
    async with (
        web.room(web.device_token(TILL)),
        web.room(web.device_token(DISK, "storage")),
    ):
        assert await invitable(web, ann) == {YARD: False}
        assert (await invite(web, ann, TILL)).status_code == 404
    # A camera whose card is broken comes back with a code; a storage that was here doesn't.
    while TILL not in (found := await invitable(web, ann)):
        pass
    assert found == {YARD: False, TILL: True}
    assert (await invite(web, ann, DISK)).status_code == 404
    assert (await invite(web, ann, "nobody@home.loc")).status_code == 404
    assert (await invite(web, ann, "not a jid")).status_code == 400


async def test_a_code_is_taken_back_by_who_made_it(web: Running) -> None:
    ann = await web.log_in(ANN)
    made = (await invite(web, ann, TILL)).json()
    bob = await web.log_in(BOB)
    path = f"/invites/{made['id']}"
    assert (await web.http.delete(path, headers=bearer(bob))).status_code == 404
    assert (await web.http.delete(path, headers=bearer(ann))).status_code == 204
    assert (await web.http.post("/enroll", json={"code": made["code"]})).status_code == 401
    assert (await web.http.delete(path, headers=bearer(ann))).status_code == 404


async def test_codes_are_few_and_stand_in_the_log(web: Running) -> None:
    ann = await web.log_in(ANN)
    answers = [(await invite(web, ann, TILL)).status_code for _ in range(MADE_EACH.count + 1)]
    assert answers == [200] * MADE_EACH.count + [429]
    entries: list[dict[str, Any]] = []
    while len(entries) < MADE_EACH.count:
        answer = await web.http.get("/audit", headers=bearer(ann), params={"what": "invited"})
        entries = answer.json()["entries"]
    assert {(one["who"], one["object"], one["detail"]) for one in entries} == {
        (ANN, TILL, "made on the page")
    }
