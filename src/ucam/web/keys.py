"""The web application's signing keys, and the tokens that it signs with them.

Ed25519 keys (RFC 8037) stand in one file of the data directory: `current` signs, `next` is
published before it signs so that every verifier has it in time, `previous` ones still verify until
the last token that they signed has expired. One file, so that a rotation is one rename and never
half done; every process of the data directory notices it at its next use of a key.
"""

import fcntl
import json
import logging
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

_log = logging.getLogger(__name__)
# RFC 9864 calls it Ed25519, but more verifiers in the field know the older name.
ALGORITHM = "EdDSA"
# A token must not outlive the key that signed it: no token lives longer than this, and a key that
# was replaced verifies for as long.
LONGEST_TOKEN_S = 366 * 86400.0
ROTATE_AFTER_S = LONGEST_TOKEN_S
# Bounds the key set. Rotating oftener than this in `LONGEST_TOKEN_S` would take a key away from
# tokens that still live.
MAX_PREVIOUS = 16
_FILE = "signing-keys.json"


class Previous(msgspec.Struct, frozen=True):
    """A key that signs no more, as a public JWK, and until when it verifies."""

    key: dict[str, str]
    until_s: float


class Keys(msgspec.Struct, frozen=True):
    """The keys, `current` and `next` with their private parts, and when `current` began."""

    current: dict[str, str]
    next: dict[str, str]
    since_s: float
    previous: tuple[Previous, ...] | None = None


class TooSoonError(ValueError):
    """A rotation that would make living tokens worthless."""


class KeyStore:
    """The signing keys of a data directory; made at the first start."""

    def __init__(self, data_dir: Path, now_s: float) -> None:
        self._path = data_dir / _FILE
        self._told = ""
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(data_dir):
                if not self._path.exists():
                    self._write(Keys(_generate(), _generate(), now_s))
                self._load()
        except OSError as error:
            raise Fault(f"the data directory {data_dir} can't be used: {error}") from None

    @property
    def public(self) -> KeySet:
        """What verifiers believe: next, current and previous, public parts only."""
        self._refresh()
        return self._public

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """The JWK set (RFC 7517) for `/.well-known/jwks.json`."""
        return {
            "keys": [
                {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
                for key in self.public.keys
            ]
        }

    def sign(self, claims: Claims) -> str:
        """The JWT of `claims`. The same claims under the same key give the same token."""
        self._refresh()
        payload = {k: v for k, v in msgspec.to_builtins(claims).items() if v is not None}
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._signing.kid}
        return jwt.encode(header, payload, self._signing, algorithms=[ALGORITHM])

    def rotate_when_due(self, now_s: float) -> bool:
        """Rotate after `ROTATE_AFTER_S`; whether it did."""
        self._refresh()
        if now_s - self._keys.since_s < ROTATE_AFTER_S:
            return False
        with _locked(self._path.parent):
            old = self._read()
            if now_s - old.since_s < ROTATE_AFTER_S:
                self._load()  # another process has done it
                return False
            self._replace(old, now_s)
        return True

    def rotate(self, now_s: float) -> None:
        """Sign with `next` from now on; what `current` signed is still believed.

        Raises `TooSoonError`.
        """
        with _locked(self._path.parent):
            self._replace(self._read(), now_s)

    def begin_anew(self, now_s: float) -> None:
        """Forget every key: whoever has stolen one can do nothing with it, and nobody who holds a
        token can either."""
        with _locked(self._path.parent):
            self._write(Keys(_generate(), _generate(), now_s))
            self._load()

    @property
    def kept(self) -> Keys:
        """All of them, with their private parts."""
        self._refresh()
        return self._keys

    def take_over(self, keys: Keys) -> None:
        """Use these keys from now on, for they are shared; raises `Fault`.

        Keys of our own that they don't descend from are put aside, not lost.
        """
        try:
            with _locked(self._path.parent):
                known = (keys.current, keys.next, *(p.key for p in keys.previous or ()))
                if self._signing.kid not in {key.get("kid") for key in known}:
                    aside = self._path.with_suffix(".before-sharing.json")
                    _log.warning("our own signing keys are replaced; they stand in %s", aside)
                    write_atomically(aside, self._path.read_bytes())
                    give_to_owner(aside)
                self._write(keys)
                self._load()
        except OSError as error:
            raise Fault(f"the signing keys {self._path} can't be written: {error}") from None

    def _replace(self, old: Keys, now_s: float) -> None:
        kept = tuple(key for key in old.previous or () if key.until_s > now_s)
        if len(kept) >= MAX_PREVIOUS:
            raise TooSoonError(f"{len(kept)} replaced keys still verify tokens that may live")
        public = {name: text for name, text in old.current.items() if name != "d"}
        replaced = Previous(public, now_s + LONGEST_TOKEN_S)
        self._write(Keys(old.next, _generate(), now_s, (replaced, *kept)))
        self._load()

    def _refresh(self) -> None:
        """Take what another process has put into the file."""
        try:
            if self._path.stat().st_mtime_ns != self._loaded_ns:
                self._load()
        except (OSError, Fault) as error:
            # What verified a moment ago goes on; told once for each state of the file.
            if str(error) != self._told:
                self._told = str(error)
                _log.error("signing keys not read anew: %s", error)

    def _load(self) -> None:
        loaded_ns = self._path.stat().st_mtime_ns
        keys = self._read()
        try:
            signing = _import(keys.current)
            every = [signing, _import(keys.next), *(_import(p.key) for p in keys.previous or ())]
        except (JoseError, ValueError, KeyError) as error:
            raise self._unusable(error) from None
        # Verifying needs no private part, so what is handed out has none.
        self._public = KeySet([OKPKey.import_key(k.as_dict(private=False)) for k in every])
        self._keys, self._signing, self._loaded_ns, self._told = keys, signing, loaded_ns, ""

    def _read(self) -> Keys:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Keys)
        except (ValueError, RecursionError) as error:
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
