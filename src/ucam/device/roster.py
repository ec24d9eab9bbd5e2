"""Whom a device may see in the room: a viewer who is gone for good loses its calls. No I/O.

While the room is away calls go on. When it is back, viewers come back too, each in its own time:
who hasn't come `GRACE_S` after the Welcome has left, or may not see this device any more.
"""

from collections.abc import Iterable

from ucam.protocol.messages import Connect, Disconnect, Welcome

# Less than the 5 s in which access that was withdrawn is gone; longer than a page needs to notice.
GRACE_S = 4.0


class Roster:
    """The full JIDs that a device has heard of since the last Welcome."""

    def __init__(self) -> None:
        self._here: set[str] = set()
        self._welcomed_s: float | None = None

    def welcome(self, message: Welcome, now_s: float) -> None:
        """Everything told before is void."""
        self._here = {peer.jid for peer in message.roster}
        self._welcomed_s = now_s

    def change(self, message: Connect | Disconnect) -> None:
        """Somebody has come or gone."""
        if isinstance(message, Connect):
            self._here.add(message.jid)
        else:
            self._here.discard(message.jid)

    def heard(self, jid: str | None) -> None:
        """A message of somebody: they are here, even when a storm kept the room from saying so."""
        if jid is not None:
            self._here.add(jid)

    def away(self) -> None:
        """The room can't be reached: nobody is missed."""
        self._welcomed_s = None

    def missed(self, viewers: Iterable[str], now_s: float) -> list[str]:
        """Those of `viewers` who have gone for good."""
        if self._welcomed_s is None or now_s - self._welcomed_s < GRACE_S:
            return []
        return [viewer for viewer in viewers if viewer not in self._here]
