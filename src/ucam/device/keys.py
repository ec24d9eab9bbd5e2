"""The web application's public keys: fetched, kept on disk for when it is away, renewed."""

import asyncio
import base64
import contextlib
import json
import logging
import time
from pathlib import Path

from joserfc.jwk import KeySet

from ucam.base.backoff import Backoff
from ucam.base.files import write_atomically
from ucam.base.tokens import Claims, TokenError, Verifier, read_keys, read_revoked
from ucam.device.http import WebRefused, WebUnavailable, request

_log = logging.getLogger(__name__)
REFRESH_S = 900.0
# An unknown key id asks for a new set at once, but no stranger may make us ask more often.
LEAST_BETWEEN_FETCHES_S = 5.0
# When the web application itself says that it has changed.
LEAST_WHEN_TOLD_S = 1.0
MAX_HEAD_LENGTH = 1024


class KeysUnavailable(Exception):  # noqa: N818 - a state of the world
    """There is no key set yet, neither on disk nor from the web application."""


class RemoteKeys:
    """The key set at `WEB/.well-known/jwks.json`, cached in the file `cache`."""

    def __init__(self, web_url: str, cache: Path) -> None:
        self._url = web_url.rstrip("/") + "/.well-known/jwks.json"
        self._cache = cache
        self._keys: KeySet | None = None
        self._revoked: frozenset[str] = frozenset()
        self._fetched_at_s = float("-inf")
        self._lock = asyncio.Lock()
        self._told = asyncio.Event()
        self.verifier = Verifier(web_url.rstrip("/"), self.current, lambda: self._revoked)
        try:
            kept = cache.read_bytes()
            self._keys, self._revoked = read_keys(kept), read_revoked(kept)
        except (OSError, TokenError) as error:
            _log.info("no keys on disk yet (%s)", type(error).__name__)

    def current(self) -> KeySet:
        """The keys in force; raises `TokenError` when there are none yet."""
        if self._keys is None:
            raise TokenError("the web application's keys aren't known yet")
        return self._keys

    def changed(self) -> None:
        """The web application says that keys have changed or tokens were revoked: `run` asks."""
        self._told.set()

    async def fetch(self, *, must: bool = True) -> None:
        """Get the key set, unless that was done a moment ago and it needn't be.

        Raises `KeysUnavailable` and keeps the old one.
        """
        async with self._lock:
            age_s = time.monotonic() - self._fetched_at_s
            if not must and age_s < LEAST_BETWEEN_FETCHES_S:
                return
            self._fetched_at_s = time.monotonic()
            try:
                body = await request(self._url)
                self._keys, self._revoked = read_keys(body), read_revoked(body)
            except (WebUnavailable, WebRefused, TokenError) as error:
                raise KeysUnavailable(f"{self._url}: {error}") from None
            try:
                await asyncio.to_thread(write_atomically, self._cache, body, 0o644)
            except OSError as error:
                _log.warning("keys not kept on disk (%s): %s", self._cache, error)

    async def verify(self, token: str) -> Claims:
        """The claims of `token` now, asking for new keys once when its key is unknown.

        Raises `TokenError`.
        """
        if not self._knows_key_of(token):
            try:
                await self.fetch(must=False)
            except KeysUnavailable as error:
                _log.warning("%s", error)
        return self.verifier.verify(token, time.time())

    def _knows_key_of(self, token: str) -> bool:
        known = () if self._keys is None else {key.kid for key in self._keys.keys}
        return _key_id(token) in known

    async def run(self) -> None:
        """Keep the key set fresh, for ever."""
        backoff = Backoff(first_s=LEAST_BETWEEN_FETCHES_S, longest_s=120)
        while True:
            try:
                await self.fetch()
                backoff.reset()
                delay_s = REFRESH_S
            except KeysUnavailable as error:
                _log.warning("%s", error)
                delay_s = backoff.next_delay_s()
            await asyncio.sleep(min(LEAST_WHEN_TOLD_S, delay_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._told.wait()
            # Before asking: what changes while the answer is on its way is told again.
            self._told.clear()


def _key_id(token: str) -> object:
    """The `kid` that a token claims, only to decide whether asking for newer keys makes sense."""
    head = token[:MAX_HEAD_LENGTH].split(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return None
    return header.get("kid") if isinstance(header, dict) else None
