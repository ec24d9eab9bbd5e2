"""What was said to the room lately: a short list in memory, never on a disk. No I/O.

Each line stands with the locations where it could be heard. Who comes later is given it only
through a location that both share now, and that its speaker spoke in then.
"""

from collections.abc import Iterable

from ucam.base.jid import JID, JIDError
from ucam.protocol.messages import Chat
from ucam.web.access import Access, Party
from ucam.web.events import Line

MAX_LINES = 50


class History:
    """The last lines, oldest first; the same in every process that has heard the same."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them."""
        return tuple(self._lines)

    def add(self, lines: Iterable[Line]) -> None:
        """Take in lines; those that are known already stand once."""
        known = {_key(line): line for line in (*self._lines, *lines)}
        self._lines = [known[key] for key in sorted(known)][-MAX_LINES:]

    def for_party(self, access: Access, party: Party) -> tuple[Chat, ...]:
        """The lines that `party` may read. Devices are given none: they don't chat."""
        if party.is_device:
            return ()
        return tuple(line.chat for line in self._lines if _may_read(access, party, line))


def _may_read(access: Access, party: Party, line: Line) -> bool:
    try:
        speaker = Party(JID.parse(line.chat.from_ or "").bare, line.role)
    except JIDError:
        return False
    return any(place in line.places for place in access.shared(party, speaker))


def _key(line: Line) -> tuple[str, str, str]:
    chat = line.chat
    return chat.time or "", chat.from_ or "", chat.text
