"""Who may record here and who may look: the token's claims against this storage's locations."""

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from joserfc.jwk import KeySet

from ucam.base.jid import JID, JIDError
from ucam.base.service import Fault
from ucam.base.tokens import Claims, TokenError, Verifier, read_keys, read_revoked
from ucam.storage.layout import Place

Verify = Callable[[str], Awaitable[Claims]]


class Denied(Exception):  # noqa: N818 - a decision
    """Not allowed; `status` is RTSP's and HTTP's (401, 403, 404), the text says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Access:
    """Decides by tokens. `locations`: those of this storage."""

    def __init__(
        self,
        verify: Verify,
        locations: Callable[[], tuple[str, ...]],
        is_revoked: Callable[[Claims], bool] = lambda _claims: False,
    ) -> None:
        self._verify = verify
        self._locations = locations
        self._is_revoked = is_revoked
        self.is_listed: Callable[[str], bool] = lambda _jid: True
        """Whether a camera's bare JID still stands in the configuration: the room knows it."""

    def withdrawn(self, claims: Claims) -> str | None:
        """Why a token that opened something is not to keep it open, None while it may."""
        if claims.role == "device" and not self.is_listed(claims.sub):
            return "the camera was removed from this location"
        return "the token was revoked" if self._is_revoked(claims) else None

    async def claims(self, token: str) -> Claims:
        """A believed token's claims; raises `Denied`."""
        try:
            return await self._verify(token)
        except TokenError as error:
            raise Denied(401, str(error)) from None

    async def publisher(self, path: str, token: str) -> tuple[Place, Claims]:
        """Whose recordings a device with this token makes at `path`; raises `Denied`."""
        claims = await self.claims(token)
        try:
            jid = JID.parse_bare(path)
        except JIDError:
            raise Denied(403, "the path is no device's JID") from None
        if claims.role != "device" or claims.jid != jid:
            raise Denied(403, "the token is not this device's")
        location = next((name for name in self._locations() if name in claims.loc), None)
        if location is None or not self.is_listed(str(jid)):
            raise Denied(403, "the device is not of this storage's location")
        try:
            return Place(location, str(jid)), claims
        except ValueError as error:
            raise Denied(403, str(error)) from None

    async def player(self, path: str, token: str) -> tuple[tuple[Place, ...], Claims]:
        """Where the live stream at `path` may be, for a token's owner; raises `Denied`: 401 for
        the token, 404 for everything else (what is forbidden looks like what isn't there).
        """
        claims = await self.claims(token)
        try:
            jid = JID.parse_bare(path)
            shared = [name for name in self._locations() if name in claims.loc]
            places = tuple(Place(name, str(jid)) for name in shared)
        except ValueError:
            raise Denied(404, "the path is no device's JID") from None
        if claims.role == "device" and claims.jid != jid:
            raise Denied(404, "a device sees no stream but its own")
        if not places or not self.is_listed(str(jid)):
            raise Denied(404, "nothing here may be seen with this token")
        return places, claims

    async def viewer(self, token: str) -> tuple[frozenset[str], Claims]:
        """The locations of this storage that the token's owner may see; raises `Denied`."""
        claims = await self.claims(token)
        if claims.role not in ("user", "player"):
            raise Denied(403, "recordings are for people and players")
        shared = frozenset(claims.loc) & frozenset(self._locations())
        if not shared:
            raise Denied(403, "nothing here may be seen with this token")
        return shared, claims


def access_by_file(
    keys_file: Path, issuer: str, locations: Callable[[], tuple[str, ...]]
) -> Access:
    """For tokens of `issuer`, by the JWK set in a file (read anew when it changes).

    Raises `Fault` when the file can't be used.
    """
    keys = _KeysFile(keys_file)
    verifier = Verifier(issuer, keys.current, keys.revoked)

    async def verify(token: str) -> Claims:
        return verifier.verify(token, time.time())

    return Access(verify, locations, verifier.is_revoked)


class _KeysFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._modified_ns = -1
        self._revoked: frozenset[str] = frozenset()
        try:
            self._keys = self._read()
        except (OSError, TokenError, json.JSONDecodeError) as error:
            raise Fault(f"keys-file {path} can't be used: {error}") from None

    def _read(self) -> KeySet:
        self._modified_ns = self._path.stat().st_mtime_ns
        data = self._path.read_bytes()
        keys, self._revoked = read_keys(data), read_revoked(data)
        return keys

    def revoked(self) -> frozenset[str]:
        """The tokens that the file takes back."""
        self.current()
        return self._revoked

    def current(self) -> KeySet:
        """The keys in the file; what was there when it can't be read."""
        try:
            if self._path.stat().st_mtime_ns != self._modified_ns:
                self._keys = self._read()
        except (OSError, TokenError):
            return self._keys
        return self._keys
