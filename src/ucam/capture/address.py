"""Where the location's storage is, and how a camera knows that it is the right one.

From the configuration; else as announced in the room, and kept in a file: the camera records while
the web application is away.
"""

import hashlib
import hmac
import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ucam.base.files import write_atomically
from ucam.capture.config import Storage

_log = logging.getLogger(__name__)
DEFAULT_PORT = 8322
CPUINFO = Path("/proc/cpuinfo")
_FEATURES = re.compile(r"(flags|Features)\s*:")  # of x86, of Arm
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")


class AddressError(ValueError):
    """A text that is no address of a storage."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of a storage; `fingerprint` of its certificate, or the `ca` that signed it.

    With neither, the system's certificate authorities decide.
    """

    host: str
    port: int
    fingerprint: str | None = None
    ca: Path | None = None

    @classmethod
    def parse(cls, url: str, fingerprint: str | None = None, ca: Path | None = None) -> "Address":
        """Read `rtsps://HOST[:PORT]` and `sha256:HEX`; raises `AddressError`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            # A resolver does the same, and this kind of error is none of the network's.
            (host or "").encode("idna")
        except ValueError as error:
            raise AddressError(f"{url!r} is no address: {error}") from None
        if (
            parts.scheme != "rtsps"
            or not host
            or not host.isprintable()
            or parts.username
            or parts.path.strip("/")
        ):
            raise AddressError(f"{url!r} is no address: write it as rtsps://storage.local:8322")
        if fingerprint is not None:
            fingerprint = fingerprint.lower().replace(":", "").replace("sha256", "sha256:", 1)
            if not _FINGERPRINT.fullmatch(fingerprint):
                raise AddressError("a fingerprint is written sha256: and 64 hexadecimal digits")
        return cls(host, port or DEFAULT_PORT, fingerprint, ca)

    @property
    def url(self) -> str:
        """`rtsps://HOST:PORT`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsps://{host}:{self.port}"

    def tls(self) -> ssl.SSLContext:
        """The client's side of TLS; with a fingerprint, call `check` before anything is sent.

        Raises `OSError` when the file of the CA can't be read.
        """
        if self.fingerprint is None:
            context = ssl.create_default_context(cafile=self.ca)
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # The certificate itself is compared, so neither its name nor its signer matters.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not has_aes_instructions():
            # Where AES is computed step by step, ChaCha20 costs half. Python (before 3.15) can
            # order the ciphers of TLS 1.2 alone; storage takes the first one that it has.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE+CHACHA20:ECDHE+AESGCM")
        return context

    def check(self, certificate: bytes | None) -> bool:
        """Whether this DER certificate is the storage's."""
        if self.fingerprint is None:
            return True
        seen = "sha256:" + hashlib.sha256(certificate or b"").hexdigest()
        return hmac.compare_digest(seen, self.fingerprint)


def has_aes_instructions(cpuinfo: Path = CPUINFO) -> bool:
    """Whether this processor computes AES in hardware (a Raspberry Pi does from the 5 on)."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return True
    features = [line.partition(":")[2] for line in lines if _FEATURES.match(line)]
    return not features or any("aes" in each.split() for each in features)


class _Kept(msgspec.Struct):
    url: str
    fingerprint: str


class KnownStorage:
    """The storage's address as configured, or as last announced and kept in `cache`."""

    def __init__(self, config: Storage, cache: Path) -> None:
        self._cache = cache
        self._fixed = (
            None if config.url is None else Address.parse(config.url, config.fingerprint, config.ca)
        )
        self._pinned = config.fingerprint is not None or config.ca is not None
        self._config = config
        self._to_keep: _Kept | None = None
        self._unusable = ""  # the last one that was told
        self._announced = self._read()

    @property
    def address(self) -> Address | None:
        """Where to send to; None when nobody has said it yet."""
        if self._fixed is None:
            return self._announced
        if not self._pinned and self._announced is not None:
            return Address(self._fixed.host, self._fixed.port, self._announced.fingerprint)
        return self._fixed

    def announce(self, fields: Mapping[str, Any]) -> bool:
        """Take the `storage` of a storage's Status; True when the address to use changed."""
        before = self.address
        try:
            kept = msgspec.convert(fields.get("storage"), _Kept)
            self._announced = self._address(kept)
        except (msgspec.ValidationError, AddressError) as error:
            if self._unusable != str(error):  # it comes every two seconds
                self._unusable = str(error)
                _log.warning("the storage announces an address that can't be used: %s", error)
            return False
        if self.address == before:
            return False
        _log.info("storage announced: %s", self._announced.url)
        self._to_keep = kept
        return True

    def keep(self) -> None:
        """Write down what was announced, for when the room is away. Blocks."""
        kept, self._to_keep = self._to_keep, None
        if kept is None:
            return
        try:
            write_atomically(self._cache, msgspec.json.encode(kept))
        except OSError as error:
            _log.warning("the storage's address isn't kept (%s): %s", self._cache, error)

    def _address(self, kept: _Kept) -> Address:
        if self._pinned:
            return Address.parse(kept.url, self._config.fingerprint, self._config.ca)
        return Address.parse(kept.url, kept.fingerprint)

    def _read(self) -> Address | None:
        try:
            return self._address(msgspec.json.decode(self._cache.read_bytes(), type=_Kept))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("%s can't be used: %s", self._cache, error)
            return None
