"""Who is in the room, as the room remembers them, and what the room asks its owner to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ucam.base.jid import JID, JIDError
from ucam.base.tokens import Role
from ucam.protocol.messages import AnyMessage, Kind, OfferMedia, Peer
from ucam.web.access import Access, Party
from ucam.web.events import AnyEvent, Carried, Directed
from ucam.web.limits import Bucket

ConnectionId = int
# Of a connection that another process holds: the process, and its own number.
RemoteId = tuple[str, int]

# Close codes of the room (4000-4999 are an application's own, RFC 6455 section 7.4.2).
CLOSE_LOGIN_AGAIN = 4401
CLOSE_NO_ACCESS = 4403
CLOSE_REPLACED = 4409
CLOSE_TOO_SLOW = 4429
CLOSE_TOO_MANY = 4430

MESSAGES_PER_S = 30.0
MESSAGE_BURST = 120.0
# Who comes and goes, of people; beyond that one new Welcome tells all of it.
PRESENCE_PER_S = 2.0
PRESENCE_BURST = 40.0


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


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell another process, or all of them (`process` None); nobody where there are none."""

    process: str | None
    event: AnyEvent


@dataclass(frozen=True, slots=True)
class Opened:
    """Note that somebody has asked a device for media: for the audit log."""

    viewer: Party
    device: Party
    kind: Kind
    locations: tuple[str, ...]


Effect = Send | Close | Tell | Opened


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who connects: a full JID and what its token and its address say."""

    jid: JID
    role: Role
    name: str
    capabilities: tuple[str, ...] = ()
    arrival: int = 0
    """Greater than of all who came before, to whichever process."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a device while it is away."""

    name: str
    last_seen_us: int


class Member:
    """One connection in the room, of this process or (`is_remote`) of another."""

    __slots__ = (
        "_peers",
        "behind",
        "bucket",
        "connection",
        "full",
        "offer",
        "party",
        "presence",
        "status",
        "told_too_fast_at_s",
        "welcomed_at_s",
        "who",
    )

    def __init__(
        self, connection: ConnectionId | RemoteId, who: Newcomer, party: Party, now_s: float
    ) -> None:
        self.connection = connection
        self.who = who
        self.party = party
        self.full = str(who.jid)
        self.bucket = Bucket(MESSAGES_PER_S, MESSAGE_BURST, now_s)
        self.presence = Bucket(PRESENCE_PER_S, PRESENCE_BURST, now_s)
        self.behind = False
        """Whether it wasn't told who came and went, and waits for a new Welcome."""
        self.welcomed_at_s = now_s
        self.told_too_fast_at_s = float("-inf")
        self.offer: OfferMedia | None = None
        self.status: dict[str, Any] | None = None
        self._peers: dict[tuple[str, bool], Peer] = {}

    @property
    def is_remote(self) -> bool:
        """Whether another process holds it."""
        return isinstance(self.connection, tuple)

    def tells(self, other: "Member") -> bool:
        """Whether `other` hears this device's Status.

        Cameras hear their storage, which says where it listens, but not each other: nothing that
        another camera tells is of use to one, and decoding it costs a small machine.
        """
        return self.party.role == "storage" or other.party.role != "device"

    def update(self, offer: OfferMedia | None, status: dict[str, Any] | None) -> None:
        """What a device has said of itself; None: nothing new."""
        self.offer = offer or self.offer
        self.status = self.status if status is None else status
        self._peers.clear()

    def as_peer(self, location: str, to: "Member") -> Peer:
        """This member as `to` sees it, who shares `location` with it."""
        key = location, self.tells(to)
        if (peer := self._peers.get(key)) is None:
            who = self.who
            peer = self._peers[key] = Peer(
                jid=self.full,
                name=who.name,
                role=who.role,
                location=location,
                capabilities=who.capabilities,
                ready=self.offer is not None,
                status=self.status if key[1] else None,
            )
        return peer

    def beats(self, other: "Member") -> bool:
        """Whether this one stays where only one of the two can.

        A player made for somebody must not push them out by taking their resource, nor keep it
        from them when it came first. Otherwise the newer stays; all processes decide alike.
        """
        if (self.party.role == "player") != (other.party.role == "player"):
            return other.party.role == "player"
        return self.who.arrival >= other.who.arrival


class Members:
    """Everybody who is connected, and the only ways to find somebody: all of them ask `access`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._all: dict[ConnectionId | RemoteId, Member] = {}
        self._by_jid: dict[JID, Member] = {}
        self._devices: dict[JID, Member] = {}
        self._of_person: dict[JID, dict[Member, None]] = {}
        # Only to ask about fewer: `who_see` asks `access` about each that it finds here.
        self._by_place: dict[str, dict[Member, None]] = {}
        self.reach = False
        """Whether connections of other processes can be reached just now."""

    @property
    def access(self) -> Access:
        """The rules in force."""
        return self._access

    @access.setter
    def access(self, access: Access) -> None:
        self._access = access
        self._by_place = {}
        for member in self._all.values():
            self._enter_places(member)

    def _enter_places(self, member: Member) -> None:
        for place in self._access.locations_of(member.party):
            self._by_place.setdefault(place, {})[member] = None

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._all.values()))

    def here(self) -> Iterator[Member]:
        """Everybody whose connection this process holds."""
        return (m for m in self if not m.is_remote)

    def of_process(self, process: str) -> Iterator[Member]:
        """Everybody whose connection that other process holds."""
        return (m for m in self if isinstance(m.connection, tuple) and m.connection[0] == process)

    def get(self, connection: ConnectionId | RemoteId) -> Member | None:
        """The member of a connection, None when it has gone."""
        return self._all.get(connection)

    def device(self, jid: JID) -> Member | None:
        """The one connection of a device's bare JID; asks nobody, so it is for the room's use."""
        return self._devices.get(jid)

    def devices(self) -> Iterator[Member]:
        """All connected devices."""
        return iter(tuple(self._devices.values()))

    def count(self, party: Party) -> int:
        """How many connections a bare JID has."""
        return len(self._of_person.get(party.jid, ()))

    def add(self, member: Member) -> None:
        """Take in a member for whom `in_the_way` found nobody (any more)."""
        self._all[member.connection] = member
        self._by_jid[member.who.jid] = member
        self._of_person.setdefault(member.party.jid, {})[member] = None
        if member.party.is_device:
            self._devices[member.party.jid] = member
        self._enter_places(member)

    def remove(self, member: Member) -> None:
        """Forget a member."""
        del self._all[member.connection]
        del self._by_jid[member.who.jid]
        del self._of_person[member.party.jid][member]
        if not self._of_person[member.party.jid]:
            del self._of_person[member.party.jid]
        if member.party.is_device:
            del self._devices[member.party.jid]
        for place in self._access.locations_of(member.party):
            self._by_place[place].pop(member, None)

    def in_the_way(self, newcomer: Member) -> list[Member]:
        """Who can't stay beside a newcomer: the holders of its full JID and of its device's."""
        device = self._devices.get(newcomer.party.jid) if newcomer.party.is_device else None
        same = self._by_jid.get(newcomer.who.jid)
        return list({id(m): m for m in (same, device) if m is not None}.values())

    def shared(self, one: Member, other: Member) -> tuple[str, ...]:
        """The locations through which two members see each other; empty: they don't."""
        return self._access.shared(one.party, other.party)

    def who_see(self, member: Member) -> list[Member]:
        """Everybody else who may see `member`."""
        found: dict[Member, None] = {}
        for place in self._access.locations_of(member.party):
            found |= self._by_place.get(place, {})
        found.pop(member, None)
        return [m for m in found if self.shared(m, member)]

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
        one = self._by_jid.get(jid)
        found = self._of_person.get(jid, ()) if one is None else (one,)
        return [m for m in found if self.shared(sender, m)]


def _read(jid: str) -> JID | None:
    try:
        return JID.parse(jid)
    except JIDError:
        return None


def send(to: Iterable[Member], message: AnyMessage) -> list[Effect]:
    """The effect of sending `message` to those of these members that this process holds."""
    here = tuple(m.connection for m in to if not isinstance(m.connection, tuple))
    return [Send(here, message)] if here else []


def carry_to(sender: Member, to: Iterable[Member], message: Directed) -> list[Effect]:
    """The effects of sending `message` to these members, wherever they are."""
    to = list(to)
    effects = send(to, message)
    for member in to:
        if isinstance(member.connection, tuple) and not isinstance(sender.connection, tuple):
            process, number = member.connection
            effects.append(Tell(process, Carried(sender.connection, number, message)))
    return effects
