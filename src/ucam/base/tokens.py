"""JWTs: what a token says, and the check that every part makes before it believes one.

Signed with Ed25519 (RFC 8037) by the web application alone; everybody else only verifies. One
algorithm is accepted, under its two names (`EdDSA`, and `Ed25519` of RFC 9864); keys come from the
key set, never from the token.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key, KeySet, OKPKey
from joserfc.jws import JWSRegistry

from ucam.base.jid import JID, JIDError

# Both names are in use in the field; joserfc warns at each use of the older one.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

ALGORITHMS = ["EdDSA", "Ed25519"]
AUDIENCE = "ucam"
MAX_TOKEN_LENGTH = 4096
LEEWAY_S = 5
Role = Literal["user", "device", "storage", "player"]


class TokenError(ValueError):
    """A token that isn't believed; the message says why and never holds the token."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified token says. `iat` and `exp` are seconds since 1970 (RFC 7519)."""

    iss: str
    aud: str
    sub: str
    role: Role
    loc: tuple[str, ...]
    jti: str
    iat: int
    exp: int
    nbf: int | None = None
    sid: str | None = None

    @property
    def jid(self) -> JID:
        """`sub` as the bare JID that it is."""
        return JID.parse_bare(self.sub)


class Verifier:
    """Believes tokens of one issuer that a key of its key set signed."""

    def __init__(
        self,
        issuer: str,
        keys: Callable[[], KeySet],
        revoked: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._revoked = revoked
        self._registry = JWSRegistry(algorithms=ALGORITHMS)

    def verify(self, token: str, now_s: float) -> Claims:
        """The claims of `token` at the time `now_s` (seconds since 1970); raises `TokenError`."""
        if not token or len(token) > MAX_TOKEN_LENGTH:
            raise TokenError("no token" if not token else "token is too long")
        try:
            decoded = jwt.decode(token, self._key_for, registry=self._registry)
            claims = msgspec.convert(decoded.claims, Claims)
            claims.jid  # noqa: B018 - raises when sub is no bare JID
        except TokenError:
            raise
        except (JoseError, JIDError, msgspec.ValidationError, ValueError) as error:
            raise TokenError(f"token is not valid ({type(error).__name__})") from None
        if claims.iss != self._issuer:
            raise TokenError("token is of another issuer")
        if claims.aud != AUDIENCE:
            raise TokenError("token is for another audience")
        if max(claims.iat, claims.nbf or 0) > now_s + LEEWAY_S:
            raise TokenError("token is not valid yet")
        if claims.exp <= now_s:
            raise TokenError("token has expired")
        if self.is_revoked(claims):
            raise TokenError("token was revoked")
        return claims

    def is_revoked(self, claims: Claims) -> bool:
        """Whether a token that was believed is not to be any more."""
        revoked = self._revoked()
        return claims.jti in revoked or claims.sid in revoked

    def _key_for(self, token: Any) -> OKPKey:
        header: Mapping[str, Any] = token.headers()
        kid = header.get("kid")
        for key in self._keys().keys:
            if isinstance(key, OKPKey) and key.kid == kid and kid is not None:
                return key
        raise TokenError("token is signed by an unknown key")


def read_keys(data: bytes | str) -> KeySet:
    """A JWK set (RFC 7517) of public Ed25519 keys; raises `TokenError`."""
    try:
        document = json.loads(data)
        keys: list[Key] = [
            OKPKey.import_key(key)
            for key in document["keys"]
            if key.get("kty") == "OKP" and key.get("crv") == "Ed25519"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, JoseError) as error:
        raise TokenError(f"not a JWK set ({type(error).__name__})") from None
    if not keys:
        raise TokenError("the JWK set holds no Ed25519 key")
    return KeySet(keys)


def read_revoked(data: bytes | str) -> frozenset[str]:
    """The ids of tokens that the key set's publisher takes back, none where it names none."""
    try:
        document = json.loads(data)
        return frozenset(one for one in document.get("revoked", ()) if isinstance(one, str))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return frozenset()
