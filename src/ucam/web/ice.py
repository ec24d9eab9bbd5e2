"""ICE servers for a peer: STUN as configured, TURN with credentials that run out.

TURN credentials follow coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the user is
`<expiry>:<jid>`, the password the base64 of HMAC-SHA1 over it.
"""

import base64
import hashlib
import hmac
from pathlib import Path

from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.protocol.messages import IceServer
from ucam.web.config import Ice

# Long enough for a call that is left open over a working day; a peer that stays connected gets
# new ones at half of it (`Room.tick`).
TURN_VALIDITY_S = 24 * 3600


class IceServers:
    """What `Welcome` lists for each peer."""

    def __init__(self, stun: tuple[str, ...], turn: tuple[str, ...], secret: str | None) -> None:
        if turn and not secret:
            raise ConfigError("ice.turn needs ice.turn-secret-file (coturn's static-auth-secret)")
        self._stun = stun
        self._turn = turn
        self._secret = (secret or "").encode()

    def differs(self, other: "IceServers") -> bool:
        """Whether peers must be told anew."""
        mine = (self._stun, self._turn, self._secret)
        return mine != (other._stun, other._turn, other._secret)

    @classmethod
    def of(cls, config: Ice) -> "IceServers":
        """As `[ice]` says; raises `ConfigError` where the secret can't be read."""
        secret = read_secret(config.turn_secret_file) if config.turn_secret_file else None
        return cls(config.stun, config.turn, secret)

    def for_peer(self, jid: JID, now_s: float) -> tuple[IceServer, ...]:
        """The servers for the bare JID `jid`, with credentials that are its own."""
        servers: list[IceServer] = []
        if self._stun:
            servers.append(IceServer(urls=self._stun))
        if self._turn:
            user = f"{int(now_s) + TURN_VALIDITY_S}:{jid.bare}"
            digest = hmac.new(self._secret, user.encode(), hashlib.sha1).digest()
            servers.append(
                IceServer(
                    urls=self._turn,
                    username=user,
                    credential=base64.b64encode(digest).decode(),
                )
            )
        return tuple(servers)


def read_secret(path: Path) -> str:
    """A secret from its file, without the line's end; raises `ConfigError`, never shows it."""
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the secret file {path} can't be read: {error}") from None
    if not secret:
        raise ConfigError(f"the secret file {path} is empty")
    return secret
