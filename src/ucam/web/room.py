"""The room: who is in it, who hears what. A plain object: no sockets, no clock.

`connect`, `receive`, `disconnect`, `change_access`, `tick`, `catch_up` and `elsewhere` return what
the owner must do, in order: `Send`, `Close`, `Tell`. Times are seconds since 1970.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

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
    TokensChanged,
    Welcome,
    decode,
)
from ucam.web.access import Access, Party
from ucam.web.carry import MAX_CALL_CHARACTERS, Refusal, carry, number_of
from ucam.web.elsewhere import Elsewhere, seen
from ucam.web.events import Came, Went
from ucam.web.health import Presence
from ucam.web.history import History
from ucam.web.members import (
    CLOSE_NO_ACCESS,
    CLOSE_REPLACED,
    CLOSE_TOO_MANY,
    Close,
    ConnectionId,
    Effect,
    Known,
    Member,
    Members,
    Newcomer,
    Tell,
    send,
)

# Smaller than other messages: the last one of every device stands in each Welcome.
MAX_STATUS_CHARACTERS = 8 * 1024
# Half of what TURN credentials live: a peer that stays gets new ones in a new Welcome.
WELCOME_AGAIN_S = 12 * 3600.0
# Who is behind hears again when the storm is over, or has lasted long; and so many at once, for a
# Welcome in a full room takes a millisecond or two.
QUIET_S = 1.0
CATCH_UP_S = 15.0
WELCOMES_AT_ONCE = 10
REPLACED = "replaced by a newer connection"

IceFor = Callable[[JID, float], tuple[IceServer, ...]]


class Room:
    """One room; everything that is remembered is bounded by its connections and configuration."""

    def __init__(
        self,
        access: Access,
        ice: IceFor = lambda _jid, _now_s: (),
        known: Mapping[JID, Known] | None = None,
        max_connections_each: int = sys.maxsize,
    ) -> None:
        self._members = Members(access)
        self._ice = ice
        self._max_each = max_connections_each
        self._history = History()
        self._behind: dict[Member, None] = {}
        self._missed_s = float("-inf")  # when somebody last wasn't told
        self.known: dict[JID, Known] = dict(known or {})
        """Each device's last name and time, for who keeps them over restarts."""
        self.elsewhere = Elsewhere(self._members, self._history, self)
        """What other processes of the application tell."""

    @property
    def anybody_behind(self) -> bool:
        """Whether `catch_up` has something to do."""
        return bool(self._behind)

    # Coming and going

    def connect(self, connection: ConnectionId, who: Newcomer, now_s: float) -> list[Effect]:
        """Let `who` in: its Welcome and the offers of ready devices, and Connect to the others."""
        member = Member(connection, who, Party(who.jid.bare, who.role), now_s)
        if not self._members.access.admits(member.party):
            return [Close(connection, CLOSE_NO_ACCESS, "no access")]
        if not all(member.beats(other) for other in self._members.in_the_way(member)):
            return [Close(connection, CLOSE_REPLACED, "this resource is in use")]
        if not member.party.is_device and self._members.count(member.party) >= self._max_each:
            return [Close(connection, CLOSE_TOO_MANY, "too many connections of one name")]
        effects = self.take_in(member, now_s)
        return [*effects, Tell(None, Came(seen(member)))]

    def take_in(self, member: Member, now_s: float) -> list[Effect]:
        """Make room for a member of any process, and tell who may see it."""
        effects: list[Effect] = []
        for old in self._members.in_the_way(member):
            effects += self.leave(old, now_s)
            if not isinstance(old.connection, tuple):
                effects.append(Close(old.connection, CLOSE_REPLACED, REPLACED))
        self._members.add(member)
        self._remember(member, now_s)
        if not member.is_remote:
            effects += self._welcome(member, now_s)
        return [*effects, *self._announce(member, Connect, now_s)]

    def disconnect(self, connection: ConnectionId, now_s: float) -> list[Effect]:
        """Forget a connection (it may be forgotten already) and tell who saw it."""
        member = self._members.get(connection)
        return [] if member is None else self.leave(member, now_s)

    def leave(self, member: Member, now_s: float) -> list[Effect]:
        """Forget a member of any process and tell who saw it."""
        effects = self._announce(member, Disconnect, now_s)
        self._members.remove(member)
        self._behind.pop(member, None)
        self._remember(member, now_s)
        if not member.is_remote:
            effects.append(Tell(None, Went(number_of(member))))
        return effects

    def change_access(self, access: Access, now_s: float) -> list[Effect]:
        """Put a new configuration in force: who lost access goes, who lost sight is told.

        A member whose own view changed gets a new Welcome, which replaces all it was told before.
        """
        effects: list[Effect] = []
        for member in self._members.here():
            if not access.admits(member.party):
                effects += self.leave(member, now_s)
                effects.append(Close(number_of(member), CLOSE_NO_ACCESS, "access was withdrawn"))
        old, self._members.access = self._members.access, access
        # Who is behind may not know of those whose going it would be told.
        anew = {
            m
            for m in self._members.here()
            if m.behind or _places(old, m.party) != _places(access, m.party)
        }
        moved = {
            m: None
            for m in self._members
            if old.locations_of(m.party) != access.locations_of(m.party)
        }
        for one in moved:
            for other in self._members:
                if other is one:
                    continue
                before = old.shared(one.party, other.party)
                after = access.shared(one.party, other.party)
                if before and not after:
                    if not other.behind:
                        effects += send([other], _presence(one, Disconnect, before[0]))
                    if other not in moved and not one.behind:  # otherwise its own turn tells
                        effects += send([one], _presence(other, Disconnect, before[0]))
                elif before != after:
                    anew |= {one, other}
        for member in self._members.here():
            if member in anew:
                effects += self._welcome(member, now_s)
        return effects

    def tick(self, now_s: float) -> list[Effect]:
        """New TURN credentials for who has been here long, the end of silent processes; call it
        about once a second."""
        for device in self._members.devices():
            self._remember(device, now_s)
        effects = self.elsewhere.tick(now_s)
        for member in self._members.here():
            if now_s - member.welcomed_at_s < WELCOME_AGAIN_S:
                continue
            member.welcomed_at_s = now_s
            if any(server.username for server in self._ice(member.party.jid, now_s)):
                effects += self._welcome(member, now_s)
        return effects

    def welcome_all_again(self) -> None:
        """What every Welcome tells has changed (ICE servers): `catch_up` tells it anew."""
        for member in self._members.here():
            member.behind, member.welcomed_at_s = True, float("-inf")
            self._behind[member] = None

    def catch_up(self, now_s: float) -> list[Effect]:
        """New Welcomes for some of those who weren't told who came and went; call it often while
        `anybody_behind`."""
        effects: list[Effect] = []
        quiet = now_s - self._missed_s >= QUIET_S
        due = (m for m in self._behind if quiet or now_s - m.welcomed_at_s >= CATCH_UP_S)
        for member in list(islice(due, WELCOMES_AT_ONCE)):
            effects += self._welcome(member, now_s)
        return effects

    def tokens_changed(self) -> list[Effect]:
        """Have this process's storages ask for the key set anew."""
        storages = [m for m in self._members.here() if m.party.role == "storage"]
        return send(storages, TokensChanged())

    def present(self) -> dict[JID, Presence]:
        """Every connected device, with what it said of itself last."""
        return {
            device.party.jid: Presence(device.who.name, device.status)
            for device in self._members.devices()
        }

    def seen(self, device: JID) -> tuple[bool, bool]:
        """Whether a device is connected, and whether it has ever been."""
        return self._members.device(device) is not None, device in self.known

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
            return carry(self._members, self._history, member, message, now_s)
        except Refusal as refusal:
            call = getattr(message, "call", None)
            about = call if isinstance(call, str) and call else type(message).__name__
            return _error(member, refusal.code, str(refusal), about[:MAX_CALL_CHARACTERS])

    # Telling

    def _announce(
        self, member: Member, kind: type[Connect] | type[Disconnect], now_s: float
    ) -> list[Effect]:
        """Connect or Disconnect to who may see `member`, under a location that both see.

        In a storm of people telling each of each would be n² messages: beyond its rate a receiver
        is told nothing, until one Welcome tells it all.
        """
        receivers: dict[str, list[Member]] = {}
        for other in self._members.who_see(member):
            if other.is_remote or not self._keeps_up(other, member, now_s):
                continue
            receivers.setdefault(self._members.shared(other, member)[0], []).append(other)
        effects: list[Effect] = []
        for location, hearers in receivers.items():
            effects += send(hearers, _presence(member, kind, location))
        return effects

    def _keeps_up(self, receiver: Member, about: Member, now_s: float) -> bool:
        if about.party.is_device:
            return True  # few, and what everybody is here for
        if not receiver.behind and not receiver.presence.take(now_s):
            receiver.behind = True
            self._behind[receiver] = None
        if receiver.behind:
            self._missed_s = now_s
        return not receiver.behind

    def _welcome(self, member: Member, now_s: float) -> list[Effect]:
        member.welcomed_at_s = now_s
        member.behind = False
        self._behind.pop(member, None)
        others = sorted(self._members.who_see(member), key=lambda other: other.full)
        welcome = Welcome(
            jid=member.full,
            roster=tuple(m.as_peer(self._members.shared(member, m)[0], member) for m in others),
            ice_servers=self._ice(member.party.jid, now_s),
            server_time=_time(now_s),
            locations=tuple(self._places_now(member.party, now_s)),
            chat=self._history.for_party(self._members.access, member.party),
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
        jid=member.full,
        name=who.name,
        role=who.role,
        location=location,
        capabilities=who.capabilities,
    )


def _error(member: Member, code: str, text: str, about: str | None) -> list[Effect]:
    return send([member], Error(code=code, text=text, about=about))


def _time(now_s: float) -> str:
    return format_utc(round(now_s * 1e6))
