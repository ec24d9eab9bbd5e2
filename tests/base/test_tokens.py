import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey
from joserfc.jws import JWSRegistry

from ucam.base.tokens import TokenError, Verifier, read_keys

NOW = 1_800_000_000
KEY = OKPKey.generate_key("Ed25519", {"kid": "k1"})
PUBLIC = KeySet([OKPKey.import_key({**KEY.as_dict(private=False), "kid": "k1"})])
VERIFIER = Verifier("https://x", lambda: PUBLIC)


def claims(**changes: Any) -> dict[str, Any]:
    good = {"iss": "https://x", "aud": "ucam", "sub": "cam@x.loc", "role": "device"}
    more = {"loc": ["studio"], "jti": "1", "iat": NOW - 10, "exp": NOW + 10}
    return {k: v for k, v in {**good, **more, **changes}.items() if v is not None}


def sign(payload: dict[str, Any], alg: str = "EdDSA", key: Any = KEY, **header: Any) -> str:
    registry = JWSRegistry(algorithms=["EdDSA", "Ed25519", "HS256"])
    return jwt.encode({"alg": alg, "kid": "k1", **header}, payload, key, registry=registry)


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_a_good_token(alg: str) -> None:
    got = VERIFIER.verify(sign(claims(), alg), NOW)
    assert (got.jid, got.role, got.loc) == ("cam@x.loc", "device", ("studio",))


@pytest.mark.parametrize(
    "changes",
    [{"iss": "https://y"}, {"aud": "other"}, {"exp": NOW}, {"iat": NOW + 60}, {"role": "god"}]
    + [{"sub": "cam@x.loc/r"}, {"sub": "x"}, {"loc": "studio"}]
    + [{name: None} for name in ("iss", "aud", "sub", "role", "loc", "jti", "iat", "exp")],
)
def test_claims_that_are_not_believed(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        VERIFIER.verify(sign(claims(**changes)), NOW)


def test_signatures_that_are_not_believed() -> None:
    other = OKPKey.generate_key("Ed25519", {"kid": "k1"})
    hmac = OctKey.import_key(json.dumps(PUBLIC.keys[0].as_dict()).encode(), {"kid": "k1"})
    embedded = other.as_dict(private=False)
    for token in (
        sign(claims(), key=other),
        sign(claims(), kid="k2"),
        sign(claims(), alg="HS256", key=hmac),
        sign(claims(), key=other, jwk=embedded),
        sign(claims())[:-4] + "AAAA",
        _unsigned(claims()),
        "",
        "x",
        "a.b.c",
        "x" * 5000,
    ):
        with pytest.raises(TokenError):
            VERIFIER.verify(token, NOW)


def _unsigned(payload: dict[str, Any]) -> str:
    def encode(part: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    return f"{encode({'alg': 'none', 'kid': 'k1'})}.{encode(payload)}."


def test_an_error_never_holds_the_token() -> None:
    token = sign(claims(exp=NOW - 1))
    with pytest.raises(TokenError) as error:
        VERIFIER.verify(token, NOW)
    assert token[:20] not in str(error.value)


def test_key_sets() -> None:
    text = json.dumps({"keys": [PUBLIC.keys[0].as_dict()]})
    assert read_keys(text).keys[0].kid == "k1"
    for bad in ("", "[]", "{}", '{"keys":[]}', '{"keys":[{"kty":"OKP","crv":"Ed25519"}]}', "null"):
        with pytest.raises(TokenError):
            read_keys(bad)
