"""`/auth` over HTTP, on a server that runs."""

import base64
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ucam.base.times import parse_utc
from ucam.base.tokens import Verifier, read_keys
from web.helpers import ANN, BOB, TILL, Running


def error_code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/json"
    return str(answer.json()["error"]["code"])


async def test_logging_in(web: Running) -> None:
    link = await web.link_token(ANN)
    answer = await web.http.post("/auth", json={"token": link})
    assert answer.status_code == 200
    keys = read_keys((await web.http.get("/.well-known/jwks.json")).content)
    claims = Verifier(web.url, lambda: keys).verify(answer.json()["token"], time.time())
    assert (claims.sub, claims.role, claims.loc) == (ANN, "user", ("home", "shop"))
    assert parse_utc(answer.json()["expires"]) == claims.exp * 1_000_000
    again = await web.http.post("/auth", json={"token": link})
    assert (again.status_code, error_code(again)) == (401, "link-expired")


async def test_getting_a_link_uses_nothing_up(web: Running) -> None:
    link = await web.link_token(ANN)
    for address in ("/login", "/auth", f"/auth?token={link}", f"/login?t={link}"):
        await web.http.get(address)
    assert (await web.http.post("/auth", json={"token": link})).status_code == 200


async def test_every_address_gets_the_same_answer(web: Running) -> None:
    answers = []
    for address in (ANN, "eve@example.com", "", "no address", "a@b.c\nBcc: x@y.z", "x" * 9000):
        answer = await web.http.post("/auth", json={"email": address})
        headers = {name: value for name, value in answer.headers.items() if name != "date"}
        answers.append((answer.status_code, answer.content, headers))
    assert answers[0][0] == 202
    assert answers == [answers[0]] * len(answers)


async def test_a_limited_address_gets_the_same_answer_too(web: Running) -> None:
    answers = [await web.http.post("/auth", json={"email": ANN}) for _ in range(6)]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (202, b'{"status":"sent"}')
    }
    await web.link_token(BOB)  # worked off after all of Ann's
    assert len(list((web.folder / "outbox").glob("*.eml"))) == 4


async def test_recycling(web: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ucam")
    first = await web.log_in(ANN)
    assert f"{ANN} has logged in" in caplog.text
    answer = await web.recycle(first)
    assert answer.status_code == 200
    second = answer.json()["token"]
    assert second != first
    assert (await web.recycle(first)).json() == answer.json()
    third = (await web.recycle(second)).json()["token"]
    # Two steps back is no lost answer: somebody else holds the session, and it ends.
    for token in (first, third, second):
        over = await web.recycle(token)
        assert (over.status_code, error_code(over)) == (401, "session-over")
    # Whoever runs this hears of it: a token was probably stolen.
    assert caplog.text.count(f"{ANN}: a replaced token was used again") == 1


async def test_logging_out(web: Running) -> None:
    token = await web.log_in(ANN)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await web.http.delete("/auth", headers=headers)).status_code == 204
    for answer in (
        await web.http.delete("/auth", headers=headers),
        await web.http.delete("/auth"),
        await web.recycle(token),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_devices_recycle_without_a_body(web: Running) -> None:
    first = web.device_token(TILL)
    second = (await web.recycle(first)).json()["token"]
    assert (await web.recycle(first)).json()["token"] == second
    assert (await web.recycle(second)).status_code == 200
    player = web.device_token(TILL, "player")
    assert (await web.recycle(player)).status_code == 401


NESTED = '{"email": "a@b.example", "x": ' + 7000 * "["


@pytest.mark.parametrize(
    "body",
    ["{", "[]", '"x"', '{"email": 5}', '{"mail": "x"}', '{"email": "a", "token": "b"}', NESTED],
)
async def test_requests_that_make_no_sense(web: Running, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await web.http.post("/auth", content=body, headers=headers)
    assert (answer.status_code, error_code(answer)) == (400, "bad-request")


async def test_a_body_that_is_too_large(web: Running) -> None:
    answer = await web.http.post("/auth", json={"email": "x" * 20_000})
    assert (answer.status_code, error_code(answer)) == (413, "too-large")


async def test_without_anything(web: Running) -> None:
    assert (await web.http.post("/auth")).status_code == 401
    basic = await web.http.post("/auth", auth=("ann", "x"))
    assert (basic.status_code, error_code(basic)) == (401, "login-again")


def part(content: bytes | dict[str, Any]) -> str:
    """One part of a JWT."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def signed(head: dict[str, Any], claims: dict[str, Any], key: Ed25519PrivateKey) -> str:
    text = f"{part({'typ': 'JWT', **head})}.{part(claims)}"
    return f"{text}.{part(key.sign(text.encode()))}"


def mac(head: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    text = f"{part({'typ': 'JWT', **head})}.{part(claims)}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


def attacks(token: str, published: dict[str, str]) -> dict[str, str]:
    """Tokens that somebody without the private key can make, all otherwise in order."""
    claims, kid = claims_of(token), published["kid"]
    raw = base64.urlsafe_b64decode(published["x"] + "==")
    own = Ed25519PrivateKey.generate()
    own_x = part(own.public_key().public_bytes_raw())
    own_jwk = {"kty": "OKP", "crv": "Ed25519", "x": own_x}
    head, body, signature = token.split(".")
    hs256, eddsa, none = {"alg": "HS256"}, {"alg": "EdDSA"}, {"alg": "none"}
    return {
        "none": f"{part({**none, 'kid': kid})}.{body}.",
        "none, with the signature": f"{part({**none, 'kid': kid})}.{body}.{signature}",
        "None": f"{part({'alg': 'None', 'kid': kid})}.{body}.",
        "HS256, public key": mac({**hs256, "kid": kid}, claims, raw),
        "HS256, public key's text": mac({**hs256, "kid": kid}, claims, published["x"].encode()),
        "HS256, key set": mac({**hs256, "kid": kid}, claims, json.dumps(published).encode()),
        "HS256, nothing": mac({**hs256, "kid": kid}, claims, b""),
        "own key, our kid": signed({**eddsa, "kid": kid}, claims, own),
        "own key, Ed25519": signed({"alg": "Ed25519", "kid": kid}, claims, own),
        "own key, own kid": signed({**eddsa, "kid": "mine"}, claims, own),
        "own key, no kid": signed(eddsa, claims, own),
        "own key in the head": signed({**eddsa, "kid": kid, "jwk": own_jwk}, claims, own),
        "own key set": signed({**eddsa, "kid": "m", "jku": "http://127.0.0.1/k"}, claims, own),
        "critical": signed({**eddsa, "kid": kid, "crit": ["x"], "x": 1}, claims, own),
        "other claims": f"{head}.{part({**claims, 'sub': BOB})}.{signature}",
        "other head": f"{part({**eddsa, 'kid': kid})}.{body}.{signature}",
        "signature cut": f"{head}.{body}.",
        "no token": "x",
        "a JID": part(ANN.encode()),
        "too long": token + "A" * 5000,
    }


async def test_forged_tokens_open_nothing(web: Running) -> None:
    token = await web.log_in(ANN)
    (file,) = (web.folder / "data").glob("*.json")
    published = read_keys((await web.http.get("/.well-known/jwks.json")).content).as_dict()
    current = json.loads(file.read_text())["current"]["kid"]
    (key,) = [key for key in published["keys"] if key["kid"] == current]
    for name, forged in attacks(token, {k: str(v) for k, v in key.items()}).items():
        answer = await web.recycle(forged)
        assert answer.status_code == 401, name
        assert len(forged) < 10 or forged not in answer.text
    assert (await web.recycle(token)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1_000_000_000},
        {"iat": 9_000_000_000},
        {"iss": "https://elsewhere.example.com"},
        {"aud": "another"},
        {"sub": f"{ANN}/resource"},
        {"role": "admin"},
        {"sid": None},
        {"sid": "another"},
        {"exp": None},
    ],
    ids=str,
)
async def test_tokens_that_are_ours_but_not_right(web: Running, change: dict[str, Any]) -> None:
    claims = claims_of(await web.log_in(ANN))
    (file,) = (web.folder / "data").glob("*.json")
    jwk = json.loads(file.read_text())["current"]
    key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="))
    head = {"alg": "Ed25519", "kid": jwk["kid"]}
    changed = {k: v for k, v in {**claims, **change}.items() if v is not None}
    assert (await web.recycle(signed(head, changed, key))).status_code == 401
    unchanged = await web.recycle(signed(head, claims, key))
    assert unchanged.status_code == 200, "this test doesn't sign as the application does"


async def test_the_log_holds_no_secret_but_the_outboxs_link(
    web: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="ucam")
    link = await web.link_token(ANN)
    token = (await web.http.post("/auth", json={"token": link})).json()["token"]
    device = web.device_token(TILL)
    await web.http.get("/healthz", params={"auth": token})
    async with web.room(device), web.room("", f"auth={token}"):
        pass
    await web.recycle(token + "x")
    assert caplog.text.count(link) == 1
    for record in caplog.records:
        if not record.name.startswith(("websockets", "httpx", "httpcore")):  # the test's own
            assert token not in record.getMessage(), record.name
            assert device not in record.getMessage(), record.name
    assert "GET /healthz 200" in caplog.text
