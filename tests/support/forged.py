"""Tokens that must open nothing: what a stranger can make, and what our own key would sign wrongly.

The columns of every authorization matrix; each is otherwise in order.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def part(content: bytes | Mapping[str, Any]) -> str:
    """One part of a JWT."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, believed or not."""
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def signed(head: Mapping[str, Any], claims: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """A JWT by Ed25519."""
    text = f"{part({'typ': 'JWT', **head})}.{part(claims)}"
    return f"{text}.{part(key.sign(text.encode()))}"


def mac(head: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes) -> str:
    """A JWT by HMAC."""
    text = f"{part({'typ': 'JWT', **head})}.{part(claims)}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


def forged(good: str, jwk: Mapping[str, str]) -> dict[str, str]:
    """By what is wrong with them: tokens like `good`, which the private key `jwk` signed."""
    key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="))
    public, kid = base64.urlsafe_b64decode(jwk["x"] + "=="), jwk["kid"]
    claims, eddsa = claims_of(good), {"alg": "EdDSA", "kid": kid}
    own = Ed25519PrivateKey.generate()
    own_x = part(own.public_key().public_bytes_raw())
    own_jwk = {"kty": "OKP", "crv": "Ed25519", "x": own_x}
    head, body, signature = good.split(".")

    def ours(**change: object) -> str:
        changed = {name: value for name, value in {**claims, **change}.items() if value is not None}
        return signed(eddsa, changed, key)

    return {
        "no token": "",
        "garbage": "x.y.z",
        "expired": ours(iat=claims["iat"] - 90_000, exp=claims["iat"] - 10),
        "not yet valid": ours(iat=claims["iat"] + 3600),
        "not before later": ours(nbf=claims["iat"] + 3600),
        "wrong key": signed(eddsa, claims, own),
        "unknown kid": signed({"alg": "EdDSA", "kid": "mine"}, claims, own),
        "our key, unknown kid": signed({"alg": "EdDSA", "kid": "mine"}, claims, key),
        "no kid": signed({"alg": "EdDSA"}, claims, key),
        "alg none": f"{part({'alg': 'none', 'kid': kid})}.{body}.",
        "alg none, signed": f"{part({'alg': 'none', 'kid': kid})}.{body}.{signature}",
        "HS256 with the public key": mac({"alg": "HS256", "kid": kid}, claims, public),
        "HS256 with its text": mac({"alg": "HS256", "kid": kid}, claims, jwk["x"].encode()),
        "jwk header": signed({**eddsa, "jwk": own_jwk}, claims, own),
        "jwk header, own kid": signed({"alg": "EdDSA", "kid": "m", "jwk": own_jwk}, claims, own),
        "jku header": signed({"alg": "EdDSA", "kid": "m", "jku": "http://127.0.0.1/"}, claims, own),
        "missing exp": ours(exp=None),
        "other aud": ours(aud="another"),
        "other iss": ours(iss="https://elsewhere.example.com"),
        "no such role": ours(role="admin"),
        "other claims": f"{head}.{part({**claims, 'sub': 'eve@example.com'})}.{signature}",
        "signature cut": f"{head}.{body}.",
    }


def control(good: str, jwk: Mapping[str, str]) -> str:
    """`good`, signed anew as `forged` signs: must be believed, or the forger proves nothing."""
    key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="))
    return signed({"alg": "EdDSA", "kid": jwk["kid"]}, claims_of(good), key)
