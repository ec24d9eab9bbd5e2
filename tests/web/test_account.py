"""`/sessions` and `/audit`, on a server that runs."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from ucam.protocol.messages import RequestMedia
from web.helpers import ANN, BOB, DISK, TILL, Running

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def sessions(web: Running, token: str) -> list[dict[str, Any]]:
    answer = await web.http.get("/sessions", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["sessions"]
    return found


async def audit(web: Running, token: str, **query: str) -> list[dict[str, Any]]:
    answer = await web.http.get("/audit", headers=bearer(token), params=query)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


async def entries(web: Running, token: str, what: str, **query: str) -> list[dict[str, Any]]:
    """The entries, as soon as there is one: they are written in the background."""
    async with asyncio.timeout(20):
        while not (found := await audit(web, token, what=what, **query)):
            await asyncio.sleep(0.02)
    return found


async def test_where_one_is_logged_in(web: Running) -> None:
    web.http.headers["User-Agent"] = PHONE
    phone = await web.log_in(ANN)
    web.http.headers["User-Agent"] = "curl/8"
    desk = await web.log_in(ANN)
    await web.log_in(BOB)
    here, there = await sessions(web, desk)
    assert (here["this"], here["agent"], here["network"]) == (True, "curl", "127.0.0.0/24")
    assert (there["this"], there["agent"]) == (False, "Safari on iPhone")
    assert there["since"] <= there["last-seen"] < there["expires"]
    assert [one["id"] for one in await sessions(web, phone)] == [there["id"], here["id"]]
    # Recycled, it is the same session.
    desk = (await web.recycle(desk)).json()["token"]
    assert {one["id"] for one in await sessions(web, desk)} == {here["id"], there["id"]}


async def test_a_person_ends_a_session_elsewhere(web: Running) -> None:
    phone, desk = await web.log_in(ANN), await web.log_in(ANN)
    (there,) = [one for one in await sessions(web, desk) if not one["this"]]
    async with web.room(phone) as visitor, web.room(desk):
        answer = await web.http.delete(f"/sessions/{there['id']}", headers=bearer(desk))
        assert answer.status_code == 204
        assert await visitor.close_code() == 4401
    assert (await web.recycle(phone)).status_code == 401
    assert (await web.recycle(desk)).status_code == 200
    revoked = (await web.http.get("/.well-known/jwks.json")).json()["revoked"]
    assert revoked == [there["id"]]


async def test_nobody_ends_the_sessions_of_others(web: Running) -> None:
    ann, bob, device = await web.log_in(ANN), await web.log_in(BOB), web.device_token(TILL)
    player = web.device_token(BOB, "player")
    async with web.room(device), web.room(player):
        pass
    (anns,) = await sessions(web, ann)
    others = [claims_of(token)["jti"] for token in (device, player)]
    answers = [
        await web.http.delete(f"/sessions/{sid}", headers=bearer(bob))
        for sid in (anns["id"], "nothing", "x" * 500, *others)
    ]
    assert {(a.status_code, a.content) for a in answers} == {(404, answers[0].content)}
    assert len(await sessions(web, ann)) == 1
    assert (await web.recycle(device)).status_code == 200


def claims_of(token: str) -> dict[str, Any]:
    import base64

    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


@pytest.mark.parametrize("path", ["/sessions", "/audit"])
async def test_devices_and_players_see_neither(web: Running, path: str) -> None:
    for token in (web.device_token(TILL), web.device_token(TILL, "player")):
        assert (await web.http.get(path, headers=bearer(token))).status_code == 403
    assert (await web.http.get(path)).status_code == 401


async def test_who_did_what(web: Running) -> None:
    ann = await web.log_in(ANN)
    (login,) = await entries(web, ann, "login")
    assert (login["who"], login["network"]) == (ANN, "127.0.0.0/24")
    assert login["locations"] == ["home", "shop"]
    async with web.room(web.device_token(TILL)) as till, web.room(ann) as viewer:
        await viewer.say(RequestMedia(to=TILL, call="c1", kind="live"))
        async with web.room(web.device_token(DISK, "storage")) as disk:
            await viewer.say(RequestMedia(to=disk.jid, call="c2", kind="recordings"))
            (watched,) = await entries(web, ann, "watch")
            (looked,) = await entries(web, ann, "recordings")
        assert till.jid
    assert (watched["who"], watched["object"], watched["locations"]) == (ANN, TILL, ["shop"])
    assert (looked["who"], looked["object"]) == (ANN, DISK)


async def test_everybody_reads_of_their_own_locations_alone(web: Running) -> None:
    ann, bob = await web.log_in(ANN), await web.log_in(BOB)
    await web.recycle(ann + "x")  # concerns no location
    await web.http.post("/auth", json={"email": "eve@example.com"})
    await entries(web, ann, "refused", who="eve@example.com")
    assert {e["what"] for e in await audit(web, ann)} == {"login", "refused"}
    assert {e["what"] for e in await audit(web, bob)} == {"login"}
    assert {e["who"] for e in await audit(web, bob)} == {ANN, BOB}  # Ann sees the shop, too
    # Nor do they learn from it which other locations there are.
    assert {tuple(e["locations"]) for e in await audit(web, bob)} == {("shop",)}
    for line in await audit(web, ann):
        assert ann[:20] not in str(line)


async def test_the_log_says_who_was_refused_and_what_was_ended(web: Running) -> None:
    ann = await web.log_in(ANN)
    first = await web.log_in(ANN)
    second = (await web.recycle(first)).json()["token"]
    await web.recycle(second)
    await web.recycle(first)  # stolen
    (ended,) = await entries(web, ann, "session-ended")
    assert "used again" in ended["detail"]
    other = await web.log_in(ANN)
    await web.http.delete("/auth", headers=bearer(other))
    await entries(web, ann, "logout")
    web.config_path.write_text(web.config_path.read_text() + "\n")
    web.stop.reload()
    await entries(web, ann, "reloaded")


@pytest.mark.parametrize(
    "query", [{"from": "yesterday"}, {"to": "9999"}, {"what": "nothing"}, {"from": "0001-01-01"}]
)
async def test_queries_that_make_no_sense(web: Running, query: dict[str, str]) -> None:
    token = await web.log_in(ANN)
    answer = await web.http.get("/audit", headers=bearer(token), params=query)
    assert answer.status_code == 400


async def test_queries_by_time(web: Running) -> None:
    token = await web.log_in(ANN)
    await entries(web, token, "login")
    assert await audit(web, token, to="2020-01-01T00:00:00Z") == []
    assert await audit(web, token, **{"from": "2999-01-01T00:00:00Z"}) == []
    assert await audit(web, token, **{"from": "2020-01-01T00:00:00+05:00"})


async def test_disagreeing_tokens_are_believed_neither(web: Running) -> None:
    ann, bob = await web.log_in(ANN), await web.log_in(BOB)
    both = httpx.Headers([("Authorization", f"Bearer {ann}"), ("Authorization", f"Bearer {bob}")])
    for method, path in (("GET", "/sessions"), ("POST", "/auth"), ("DELETE", "/auth")):
        answer = await web.http.request(method, path, headers=both)
        assert answer.status_code == 400, path
    answer = await web.http.post("/auth", json={"token": "x"}, headers=bearer(ann))
    assert answer.status_code == 400
    for token in (ann, bob):
        assert (await web.recycle(token)).status_code == 200


async def test_what_the_file_says_is_told_to_who_sees_everything(web: Running) -> None:
    ann, bob = await web.log_in(ANN), await web.log_in(BOB)
    answer = await web.http.get("/settings.json", headers=bearer(ann))
    assert answer.json()["people"] == {ANN: ["home", "shop"], BOB: ["shop"]}
    assert answer.json()["values"] == {
        "userauth.session-lifetime": "30d",
        "userauth.link-validity": "10m",
        "deviceauth.token-validity": "30d",
        "alerts.emails": "",
        "alerts.after": "2m",
    }
    assert (await web.http.get("/settings.json", headers=bearer(bob))).status_code == 403
