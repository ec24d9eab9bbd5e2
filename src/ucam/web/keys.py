"""The web application's signing keys, and the tokens that it signs with them.

Three Ed25519 keys (RFC 8037) stand in one file of the data directory: `current` signs, `next` is
published before it signs so that every verifier has it in time, `previous` still verifies. One
file, so that a rotation is one rename and never half done.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from ucam.base.files import write_atomically
from ucam.base.service import Fault
from ucam.base.tokens import Claims

# RFC 9864 calls it Ed25519, but more verifiers in the field know the older name.
ALGORITHM = "EdDSA"
# A token must not outlive the key that signed it: after a rotation that key verifies, as
# `previous`, for one more such time.
ROTATE_AFTER_S = 366 * 86400.0
_FILE = "signing-keys.json"


class Keys(msgspec.Struct, frozen=True):
    """The three keys, as JWKs with their private parts, and when `current` began to sign."""

    current: dict[str, str]
    next: dict[str, str]
    previous: dict[str, str] | None
    since_s: float


class KeyStore:
    """The signing keys of a data directory; made at the first start."""

    def __init__(self, data_dir: Path, now_s: float) -> None:
        self._path = data_dir / _FILE
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(data_dir):
                if not self._path.exists():
                    self._write(Keys(_generate(), _generate(), None, now_s))
                self._keys = self._read()
        except OSError as error:
            raise Fault(f"the data directory {data_dir} can't be used: {error}") from None
        self._load()

    @property
    def public(self) -> KeySet:
        """What verifiers believe: next, current and previous, public parts only."""
        return self._public

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """The JWK set (RFC 7517) for `/.well-known/jwks.json`."""
        return {
            "keys": [
                {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
                for key in self._public.keys
            ]
        }

    def sign(self, claims: Claims) -> str:
        """The JWT of `claims`. The same claims under the same key give the same token."""
        payload = {k: v for k, v in msgspec.to_builtins(claims).items() if v is not None}
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._signing.kid}
        return jwt.encode(header, payload, self._signing, algorithms=[ALGORITHM])

    def rotate_when_due(self, now_s: float) -> bool:
        """Rotate after `ROTATE_AFTER_S`; whether it did."""
        if now_s - self._keys.since_s < ROTATE_AFTER_S:
            return False
        self.rotate(now_s)
        return True

    def rotate(self, now_s: float) -> None:
        """Sign with `next` from now on; what `current` signed is still believed."""
        with _locked(self._path.parent):
            old = self._read()
            self._write(Keys(old.next, _generate(), old.current, now_s))
            self._keys = self._read()
        self._load()

    def _load(self) -> None:
        kept = (self._keys.current, self._keys.next, self._keys.previous)
        try:
            self._signing = _import(self._keys.current)
            private = [_import(key) for key in kept if key is not None]
        except (JoseError, ValueError, KeyError) as error:
            raise self._unusable(error) from None
        # Verifying needs no private part, so what is handed out has none.
        self._public = KeySet([OKPKey.import_key(k.as_dict(private=False)) for k in private])

    def _read(self) -> Keys:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Keys)
        except msgspec.DecodeError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> Fault:
        return Fault(
            f"the signing keys in {self._path} can't be read ({type(error).__name__}); "
            "restore the file from a backup, or remove it: then everybody logs in anew "
            "and every device needs a new token"
        )

    def _write(self, keys: Keys) -> None:
        write_atomically(self._path, json.dumps(msgspec.to_builtins(keys), indent=1).encode())
        give_to_owner(self._path)


def give_to_owner(path: Path) -> None:
    """Let a file that root made (`sudo ucam token`) belong to the owner of its folder."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _generate() -> dict[str, str]:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    return {name: str(value) for name, value in key.as_dict(private=True).items()}


def _import(key: dict[str, str]) -> OKPKey:
    return OKPKey.import_key({**key})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: a service's first start and `ucam token` may meet."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
