"""Which tokens open nothing any more, for the sockets here and for verifiers elsewhere."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from joserfc.jwk import KeySet

from ucam.web.keys import KeyStore
from ucam.web.sessions import Revoked, Sessions
from ucam.web.state import StateAway

_log = logging.getLogger(__name__)

# Well under the 5 s after which what was revoked, by whichever process, must be gone.
LOOK_S = 2.0
FRESH_S = 0.5


class Revocations:
    """The ids of revoked tokens, read anew from the state; the last known while it is away."""

    def __init__(self, sessions: Sessions, keys: KeyStore) -> None:
        self._sessions = sessions
        self._keys = keys
        self._now = Revoked()
        self._read_s = float("-inf")
        self._reading = asyncio.Lock()  # whoever asks meanwhile gets what is being read
        self._soon = asyncio.Event()

    async def now(self) -> Revoked:
        """As it is, or was a moment ago."""
        async with self._reading:
            now_s = time.monotonic()
            if now_s - self._read_s > FRESH_S:
                self._read_s = now_s
                try:
                    self._now = await self._sessions.revoked(time.time())
                except StateAway as error:
                    _log.warning("revoked tokens not read anew: %s", error)
            return self._now

    def look_now(self) -> None:
        """Something has been revoked here: `watch` needn't wait."""
        self._read_s = float("-inf")
        self._soon.set()

    async def watch(self, end_session: Callable[[str], None], tell: Callable[[], None]) -> None:
        """End what is revoked, by any process; `tell` verifiers when they must ask anew. For ever.

        The keys are looked at as well: a rotation by `ucam web rotate-keys` is another process's.
        """
        known, kids = await self.now(), _kids(self._keys.public)
        once_more = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._soon.wait()
            self._soon.clear()
            now, now_kids = await self.now(), _kids(self._keys.public)
            for sid in now.over - known.over:
                end_session(sid)
            changed = (now.refused, now_kids) != (known.refused, kids)
            if changed or once_more:
                tell()
            # Whoever asks at once may be answered by another process, which hasn't looked yet.
            once_more = changed
            known, kids = now, now_kids


def _kids(keys: KeySet) -> frozenset[str | None]:
    return frozenset(key.kid for key in keys.keys)
