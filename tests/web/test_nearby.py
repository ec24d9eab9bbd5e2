"""A token for one storage's recordings, and the addresses that the page may ask."""

import time

import httpx
import pytest

from ucam.base.tokens import Claims, Verifier, read_keys
from ucam.protocol.messages import Status
from ucam.web.nearby import VALIDITY_S, origins
from web.helpers import ANN, BOB, DISK, TILL, Running


async def ask(web: Running, token: str, storage: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await web.http.post("/playback", headers=headers, json={"storage": storage})


async def verified(web: Running, token: str) -> Claims:
    """What a storage makes of a token."""
    keys = read_keys((await web.http.get("/.well-known/jwks.json")).content)
    revoked = (await web.http.get("/.well-known/jwks.json")).json()["revoked"]
    return Verifier(web.url, lambda: keys, lambda: frozenset(revoked)).verify(token, time.time())


async def test_a_token_that_shows_one_storages_recordings_and_nothing_else(web: Running) -> None:
    ann = await web.log_in(ANN)
    token = (await ask(web, ann, DISK)).json()["token"]
    claims = await verified(web, token)
    # Ann sees the home, too; the shop's storage needn't know.
    assert (claims.sub, claims.role, claims.loc) == (ANN, "player", ("shop",))
    assert 0 < claims.exp - time.time() <= VALIDITY_S
    for path in ("/sessions", "/audit", "/invites"):
        answer = await web.http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (401, 403), path
    assert (await web.recycle(token)).status_code == 401


async def test_it_ends_with_the_session(web: Running) -> None:
    ann = await web.log_in(ANN)
    token = (await ask(web, ann, DISK)).json()["token"]
    ann = (await web.recycle(ann)).json()["token"]
    await verified(web, token)
    await web.http.delete("/auth", headers={"Authorization": f"Bearer {ann}"})
    with pytest.raises(ValueError, match="revoked"):
        await verified(web, token)


async def test_of_what_may_not_be_seen_there_is_none(web: Running) -> None:
    bob = await web.log_in(BOB)
    assert (await ask(web, bob, DISK)).status_code == 200
    for jid, status in ((TILL, 404), ("disk@home.loc", 404), ("nothing at all", 400)):
        assert (await ask(web, bob, jid)).status_code == status


async def test_the_page_may_ask_storages_that_say_where(web: Running) -> None:
    async def connects() -> str:
        policy = (await web.http.get("/")).headers["content-security-policy"]
        return next(one for one in policy.split("; ") if one.startswith("connect-src"))

    own = f"connect-src 'self' {web.url.replace('http', 'ws')}"
    assert await connects() == own
    async with web.room(web.device_token(DISK, "storage")) as storage:
        await storage.say(Status(fields={"https": "https://nvr.shop.loc:8443"}))
        while await connects() == own:
            pass
        assert await connects() == f"{own} https://nvr.shop.loc:8443"
    # A camera is asked nothing.
    async with web.room(web.device_token(TILL)) as camera:
        await camera.say(Status(fields={"https": "https://till.shop.loc:8443"}))
        while "nvr" in await connects():
            pass
        assert await connects() == own


@pytest.mark.parametrize(
    "said",
    [
        None,
        7,
        "https://nvr",
        "http://nvr.shop.loc:8443",
        "https://*:8443",
        "https://*.shop.loc:8443",
        "https://nvr.shop.loc:8443; script-src *",
        "https://nvr.shop.loc:8443 https://evil.example.com:1",
        "https://nvr.shop.loc:8443/path",
        "https://u@nvr.shop.loc:8443",
    ],
)
def test_what_is_no_address_opens_nothing(said: object) -> None:
    assert origins([{"https": said}]) == []


def test_addresses() -> None:
    told = ["https://[fd00::7]:8443", "https://192.168.1.7:1", "https://[fd00::7]:8443"]
    assert origins([{"https": one} for one in told] + [{}]) == sorted(set(told))
