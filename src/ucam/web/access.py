"""Who may see what. One place decides, and everything that shows or carries something asks it:
the roster, each message, each call, and what a token says about locations.

Two parties see each other when they share a location. Nothing else opens a view.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.web.config import Location, WebConfig


class Party(NamedTuple):
    """Somebody with a role: one JID may hold several (a person, and a player with their token).

    A tuple, for it is a key that is looked up for each message and each pair of members.
    """

    jid: JID
    """Bare."""
    role: Role

    @property
    def is_device(self) -> bool:
        """A camera or a storage, by the project's vocabulary."""
        return self.role in ("device", "storage")


class Access:
    """The rules of one configuration; immutable, a reload makes a new one."""

    def __init__(self, allowed: tuple[JID, ...], locations: Mapping[str, Location]) -> None:
        self.locations = dict(locations)
        self._allowed = frozenset(allowed)
        # Bounded by the parties that the configuration names: others are never remembered.
        self._seen: dict[Party, tuple[str, ...]] = {}

    @classmethod
    def of(cls, config: WebConfig) -> "Access":
        """The rules that `config` states."""
        return cls(config.userauth.allowed_emails, config.locations)

    def admits(self, party: Party) -> bool:
        """Whether this party may come in at all (it may still see nothing)."""
        jid = party.jid
        match party.role:
            case "user":
                return jid in self._allowed
            case "device":
                return any(jid in place.devices for place in self.locations.values())
            case "storage":
                return any(jid == place.storage for place in self.locations.values())
            case "player":
                return any(self.admits(Party(jid, role)) for role in ("user", "device", "storage"))

    def locations_of(self, party: Party) -> tuple[str, ...]:
        """Names of the locations that `party` may see, in the configuration's order."""
        if (names := self._seen.get(party)) is None:
            if not self.admits(party):
                return ()
            names = tuple(
                name for name, place in self.locations.items() if self._belongs(party, place)
            )
            self._seen[party] = names
        return names

    def sees_all(self, party: Party) -> bool:
        """Whether `party` sees every location: such people also read what concerns none, and may
        make codes for new devices."""
        return self.admits(party) and len(self.locations_of(party)) == len(self.locations)

    def shared(self, one: Party, other: Party) -> tuple[str, ...]:
        """The locations through which two parties see each other; empty: they don't."""
        theirs = self.locations_of(other)
        return tuple(name for name in self.locations_of(one) if name in theirs)

    def role_of(self, jid: JID) -> Role | None:
        """The role of a bare JID by its place in the configuration; None: it has none."""
        for role in ("storage", "device", "user"):
            if self.admits(Party(jid, role)):
                return role
        return None

    def _belongs(self, party: Party, place: Location) -> bool:
        jid = party.jid
        match party.role:
            case "user":
                return jid in self._allowed and (place.users is None or jid in place.users)
            case "device":
                return jid in place.devices
            case "storage":
                return jid == place.storage
            case "player":
                # A player shows what the JID that it was made for may see, and does nothing else.
                return any(
                    self._belongs(Party(jid, role), place) for role in ("user", "device", "storage")
                )
