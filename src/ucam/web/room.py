"""The room: who is in it, who hears what. A plain object: no sockets, no clock.

`connect`, `receive`, `disconnect`, `change_access` and `tick` return what the owner must do, in
order: `Send` and `Close`. Times are seconds since 1970.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

import msgspec

from ucam.base.jid import JID
from ucam.base.times import format_utc
from ucam.protocol.messages import (
    MAX_MESSAGE_BYTES,
    AnyMessage,
    Connect,
    DeviceInfo,
    Disconnect,
    Error,
    IceServer,
    LocationInfo,
    ProtocolError,
    Status,
    Welcome,
    decode,
)
from ucam.web.access import Access, Party
from ucam.web.carry import MAX_CALL_CHARACTERS, Refusal, carry
from ucam.web.limits import Bucket
from ucam.web.members import (
    CLOSE_NO_ACCESS,
    CLOSE_REPLACED,
    Close,
    ConnectionId,
    Effect,
    Known,
    Member,
    Members,
    Newcomer,
    send,
)

MESSAGES_PER_S = 30.0
MESSAGE_BURST = 120.0
# Smaller than other messages: the last one of every device stands in each Welcome.
MAX_STATUS_CHARACTERS = 8 * 1024
# Half of what TURN credentials live: a peer that stays gets new ones in a new Welcome.
WELCOME_AGAIN_S = 12 * 3600.0

IceFor = Callable[[JID, float], tuple[IceServer, ...]]


class Room:
    """One room; everything that is remembered is bounded by its connections and configuration."""

    def __init__(
        self,
        access: Access,
        ice: IceFor = lambda _jid, _now_s: (),
        known: Mapping[JID, Known] | None = None,
    ) -> None:
        self._members = Members(access)
        self._ice = ice
        self.known: dict[JID, Known] = dict(known or {})
        """Each device's last name and time, for who keeps them over restarts."""

    # Coming and going

    def connect(self, connection: ConnectionId, who: Newcomer, now_s: float) -> list[Effect]:
        """Let `who` in: its Welcome and the offers of ready devices, and Connect to the others."""
        party = Party(who.jid.bare, who.role)
        if not self._members.access.admits(party):
            return [Close(connection, CLOSE_NO_ACCESS, "no access")]
        effects: list[Effect] = []
        for old in self._members.in_the_way(who, party):
            if who.role == "player" != old.party.role:
                # A player made for somebody must not push them out by taking their resource, nor
                # keep it from them when it came first.
                return [Close(connection, CLOSE_REPLACED, "this resource is in use")]
            effects += self.disconnect(old.connection, now_s)
            effects.append(Close(old.connection, CLOSE_REPLACED, "replaced by a newer connection"))
        bucket = Bucket(MESSAGES_PER_S, MESSAGE_BURST, now_s)
        member = Member(connection, who, party, bucket, welcomed_at_s=now_s)
        self._members.add(member)
        self._remember(member, now_s)
        effects += self._welcome(member, now_s)
        effects += self._announce(member, Connect)
        return effects

    def disconnect(self, connection: ConnectionId, now_s: float) -> list[Effect]:
        """Forget a connection (it may be forgotten already) and tell who saw it."""
        member = self._members.get(connection)
        if member is None:
            return []
        effects = self._announce(member, Disconnect)
        self._members.remove(member)
        self._remember(member, now_s)
        return effects

    def change_access(self, access: Access, now_s: float) -> list[Effect]:
        """Put a new configuration in force: who lost access goes, who lost sight is told.

        A member whose own view changed gets a new Welcome, which replaces all it was told before.
        """
        effects: list[Effect] = []
        for member in self._members:
            if not access.admits(member.party):
                effects += self.disconnect(member.connection, now_s)
                effects.append(Close(member.connection, CLOSE_NO_ACCESS, "access was withdrawn"))
        old, self._members.access = self._members.access, access
        anew: set[ConnectionId] = {
            m.connection for m in self._members if _places(old, m.party) != _places(access, m.party)
        }
        moved = {
            m.connection
            for m in self._members
            if old.locations_of(m.party) != access.locations_of(m.party)
        }
        for one, other in combinations(self._members, 2):
            if one.connection not in moved and other.connection not in moved:
                continue
            before = old.shared(one.party, other.party)
            after = access.shared(one.party, other.party)
            if before and not after:
                effects += send([one], _presence(other, Disconnect, before[0]))
                effects += send([other], _presence(one, Disconnect, before[0]))
            elif before != after:
                anew |= {one.connection, other.connection}
        for member in self._members:
            if member.connection in anew:
                effects += self._welcome(member, now_s)
        return effects

    def tick(self, now_s: float) -> list[Effect]:
        """New TURN credentials for who has been here long; call it now and then."""
        for device in self._members.devices():
            self._remember(device, now_s)
        effects: list[Effect] = []
        for member in self._members:
            if now_s - member.welcomed_at_s < WELCOME_AGAIN_S:
                continue
            member.welcomed_at_s = now_s
            if any(server.username for server in self._ice(member.party.jid, now_s)):
                effects += self._welcome(member, now_s)
        return effects

    # Messages

    def receive_text(self, connection: ConnectionId, text: str, now_s: float) -> list[Effect]:
        """What a connection sent, unread: limits first, then `receive`."""
        member = self._members.get(connection)
        if member is None:
            return []
        if not member.bucket.take(now_s):
            # Told once a second: answers must not become a flood of their own.
            if now_s - member.told_too_fast_at_s < 1:
                return []
            member.told_too_fast_at_s = now_s
            return _error(member, "too-fast", "too many messages; this one was not carried", None)
        if len(text) > MAX_MESSAGE_BYTES or len(text.encode()) > MAX_MESSAGE_BYTES:
            return _error(member, "too-large", f"at most {MAX_MESSAGE_BYTES} bytes a message", None)
        try:
            message = decode(text)
        except ProtocolError as error:
            return _error(member, "bad-message", str(error), error.about)
        if isinstance(message, Status) and len(text) > MAX_STATUS_CHARACTERS:
            text = f"at most {MAX_STATUS_CHARACTERS} characters a Status"
            return _error(member, "too-large", text, "Status")
        return self.receive(connection, message, now_s)

    def receive(self, connection: ConnectionId, message: AnyMessage, now_s: float) -> list[Effect]:
        """Carry one message, or answer its sender with an `Error`."""
        member = self._members.get(connection)
        if member is None:
            return []
        try:
            return carry(self._members, member, message, now_s)
        except Refusal as refusal:
            call = getattr(message, "call", None)
            about = call if isinstance(call, str) and call else type(message).__name__
            return _error(member, refusal.code, str(refusal), about[:MAX_CALL_CHARACTERS])

    # Telling

    def _announce(self, member: Member, kind: type[Connect] | type[Disconnect]) -> list[Effect]:
        """Connect or Disconnect to who may see `member`, under a location that both see."""
        receivers: dict[str, list[Member]] = {}
        for other in self._members.who_see(member):
            receivers.setdefault(self._members.shared(other, member)[0], []).append(other)
        effects: list[Effect] = []
        for location, hearers in receivers.items():
            effects += send(hearers, _presence(member, kind, location))
        return effects

    def _welcome(self, member: Member, now_s: float) -> list[Effect]:
        member.welcomed_at_s = now_s
        others = sorted(self._members.who_see(member), key=lambda other: str(other.who.jid))
        welcome = Welcome(
            jid=str(member.who.jid),
            roster=tuple(m.as_peer(self._members.shared(member, m)[0], member) for m in others),
            ice_servers=self._ice(member.party.jid, now_s),
            server_time=_time(now_s),
            locations=tuple(self._places_now(member.party, now_s)),
        )
        effects = send([member], welcome)
        if not member.party.is_device:
            for other in others:
                if other.offer is not None:
                    effects += send([member], other.offer)
        return effects

    def _places_now(self, party: Party, now_s: float) -> Iterator[LocationInfo]:
        for place in _places(self._members.access, party):
            devices = tuple(self._device_info(JID.parse(d.jid), now_s) for d in place.devices)
            yield msgspec.structs.replace(place, devices=devices)

    def _device_info(self, jid: JID, now_s: float) -> DeviceInfo:
        if (member := self._members.device(jid)) is not None:
            return DeviceInfo(jid=str(jid), name=member.who.name, last_seen=_time(now_s))
        if (known := self.known.get(jid)) is not None:
            last_seen = format_utc(known.last_seen_us)
            return DeviceInfo(jid=str(jid), name=known.name, last_seen=last_seen)
        return DeviceInfo(jid=str(jid), name=jid.local)

    def _remember(self, member: Member, now_s: float) -> None:
        if member.party.is_device:
            self.known[member.party.jid] = Known(member.who.name, round(now_s * 1e6))


def _places(access: Access, party: Party) -> list[LocationInfo]:
    """What `party` may know of the configuration, devices by their JIDs alone."""
    places = []
    for name in access.locations_of(party):
        place = access.locations[name]
        places.append(
            LocationInfo(
                name=name,
                title=place.title or name,
                timezone=place.timezone,
                storage=None if place.storage is None else str(place.storage),
                devices=tuple(DeviceInfo(jid=str(d), name=d.local) for d in place.devices),
            )
        )
    return places


def _presence(
    member: Member, kind: type[Connect] | type[Disconnect], location: str
) -> Connect | Disconnect:
    who = member.who
    return kind(
        jid=str(who.jid),
        name=who.name,
        role=who.role,
        location=location,
        capabilities=who.capabilities,
    )


def _error(member: Member, code: str, text: str, about: str | None) -> list[Effect]:
    return send([member], Error(code=code, text=text, about=about))


def _time(now_s: float) -> str:
    return format_utc(round(now_s * 1e6))
