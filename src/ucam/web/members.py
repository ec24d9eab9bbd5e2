"""Who is in the room, as the room remembers them, and what the room asks its owner to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ucam.base.jid import JID, JIDError
from ucam.base.tokens import Role
from ucam.protocol.messages import AnyMessage, OfferMedia, Peer
from ucam.web.access import Access, Party
from ucam.web.limits import Bucket

ConnectionId = int

# Close codes of the room (4000-4999 are an application's own, RFC 6455 section 7.4.2).
CLOSE_LOGIN_AGAIN = 4401
CLOSE_NO_ACCESS = 4403
CLOSE_REPLACED = 4409
CLOSE_TOO_SLOW = 4429


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message to these connections, in this order among all effects."""

    to: tuple[ConnectionId, ...]
    message: AnyMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection that the room has already forgotten."""

    connection: ConnectionId
    code: int
    reason: str


Effect = Send | Close


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who connects: a full JID and what its token and its address say."""

    jid: JID
    role: Role
    name: str
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a device while it is away."""

    name: str
    last_seen_us: int


@dataclass(slots=True, eq=False)
class Member:
    """One connection in the room."""

    connection: ConnectionId
    who: Newcomer
    party: Party
    bucket: Bucket
    welcomed_at_s: float
    told_too_fast_at_s: float = float("-inf")
    offer: OfferMedia | None = None
    status: dict[str, Any] | None = field(default=None)

    def tells(self, other: "Member") -> bool:
        """Whether `other` hears this device's Status.

        Cameras hear their storage, which says where it listens, but not each other: nothing that
        another camera tells is of use to one, and decoding it costs a small machine.
        """
        return self.party.role == "storage" or other.party.role != "device"

    def as_peer(self, location: str, to: "Member") -> Peer:
        """This member as `to` sees it, who shares `location` with it."""
        who = self.who
        return Peer(
            jid=str(who.jid),
            name=who.name,
            role=who.role,
            location=location,
            capabilities=who.capabilities,
            ready=self.offer is not None,
            status=self.status if self.tells(to) else None,
        )


class Members:
    """Everybody who is connected, and the only ways to find somebody: all of them ask `access`."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._all: dict[ConnectionId, Member] = {}
        self._by_jid: dict[JID, Member] = {}
        self._devices: dict[JID, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._all.values()))

    def get(self, connection: ConnectionId) -> Member | None:
        """The member of a connection, None when it has gone."""
        return self._all.get(connection)

    def device(self, jid: JID) -> Member | None:
        """The one connection of a device's bare JID; asks nobody, so it is for the room's use."""
        return self._devices.get(jid)

    def devices(self) -> Iterator[Member]:
        """All connected devices."""
        return iter(tuple(self._devices.values()))

    def add(self, member: Member) -> None:
        """Take in a member for whom `in_the_way` found nobody (any more)."""
        self._all[member.connection] = member
        self._by_jid[member.who.jid] = member
        if member.party.is_device:
            self._devices[member.party.jid] = member

    def remove(self, member: Member) -> None:
        """Forget a member."""
        del self._all[member.connection]
        del self._by_jid[member.who.jid]
        if member.party.is_device:
            del self._devices[member.party.jid]

    def in_the_way(self, who: Newcomer, party: Party) -> list[Member]:
        """Older connections that can't stay beside `who`: its full JID's, its device's."""
        device = self._devices.get(party.jid) if party.is_device else None
        same = self._by_jid.get(who.jid)
        return list({id(m): m for m in (same, device) if m is not None}.values())

    def shared(self, one: Member, other: Member) -> tuple[str, ...]:
        """The locations through which two members see each other; empty: they don't."""
        return self.access.shared(one.party, other.party)

    def who_see(self, member: Member) -> Iterator[Member]:
        """Everybody else who may see `member`."""
        return (m for m in self if m is not member and self.shared(m, member))

    def one(self, sender: Member, to: str) -> Member | None:
        """The connection that `to` names for `sender`: a full JID, or a device's bare one."""
        if (jid := _read(to)) is None:
            return None
        found = self._devices.get(jid) if jid.resource is None else self._by_jid.get(jid)
        if found is None or found is sender or not self.shared(sender, found):
            return None
        return found

    def person(self, sender: Member, to: str) -> list[Member]:
        """The connections that `to` names for `sender`: one, or all of a bare JID's."""
        if (jid := _read(to)) is None:
            return []
        return [m for m in self if jid in (m.who.jid, m.party.jid) and self.shared(sender, m)]


def _read(jid: str) -> JID | None:
    try:
        return JID.parse(jid)
    except JIDError:
        return None


def send(to: Iterable[Member], message: AnyMessage) -> list[Effect]:
    """The effect of sending `message` to these members; none when there are none."""
    receivers = tuple(member.connection for member in to)
    return [Send(receivers, message)] if receivers else []
