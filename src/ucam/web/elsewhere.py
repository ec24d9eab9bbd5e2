"""The part of the room that other processes hold: what they tell, kept as a copy. No I/O.

    Here ── all connections of a process; whoever has just come, or missed something, gets it
    Came, Went, Told, Said ── what changes in it, counted
    Carried ── a message for one connection of this process
    Alive ── every `HEARTBEAT_S`; who is silent for `SILENT_S` has died, its connections with it

While the way to the others is cut nobody is taken for dead: the copies stay, calls go on, and when
it is there again everybody tells `Here`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ucam.base.jid import JID, JIDError
from ucam.protocol.messages import OfferMedia, RequestMedia, Status
from ucam.web.access import Party
from ucam.web.events import (
    COUNTED,
    Alive,
    AnyEvent,
    Asked,
    Came,
    Carried,
    Ended,
    Envelope,
    Here,
    Leaving,
    Line,
    Said,
    Seen,
    Told,
    Went,
)
from ucam.web.history import History
from ucam.web.members import (
    ConnectionId,
    Effect,
    Member,
    Members,
    Newcomer,
    RemoteId,
    Tell,
    send,
)

HEARTBEAT_S = 2.0
# Longer than an event loop stands still in a storm.
SILENT_S = 10.0


class Keeper(Protocol):
    """The room, as far as it is needed here."""

    def take_in(self, member: Member, now_s: float) -> list[Effect]:
        """Make room for a member, and tell who may see it."""

    def leave(self, member: Member, now_s: float) -> list[Effect]:
        """Forget a member and tell who saw it."""


@dataclass(slots=True)
class _Process:
    number: int
    heard_s: float


class Elsewhere:
    """What this process knows of the others."""

    def __init__(self, members: Members, history: History, room: Keeper) -> None:
        self._members = members
        self._history = history
        self._room = room
        self._processes: dict[str, _Process] = {}
        self._told_alive_s = float("-inf")

    # The way to the others

    def joined(self, now_s: float) -> list[Effect]:
        """The way is there (again): tell everybody what is here, ask for the same."""
        self._members.reach = True
        for process in self._processes.values():
            process.heard_s = now_s
        return [Tell(None, self._here()), Tell(None, Asked())]

    def cut(self) -> None:
        """The way is cut: what is known of the others stays as it is."""
        self._members.reach = False

    def tick(self, now_s: float) -> list[Effect]:
        """A sign of life now and then, and the end of those who give none."""
        if not self._members.reach or not self._told_alive_s <= now_s - HEARTBEAT_S:
            return []
        self._told_alive_s = now_s
        effects: list[Effect] = [Tell(None, Alive())]
        for name, process in list(self._processes.items()):
            if process.heard_s <= now_s - SILENT_S:
                effects += self._lose(name, now_s)
        return effects

    # What they tell

    def hear(self, envelope: Envelope, now_s: float) -> list[Effect]:
        """What one event from another process leads to."""
        name, event = envelope.process, envelope.event
        if isinstance(event, Leaving):
            return self._lose(name, now_s)
        process = self._processes.get(name)
        effects: list[Effect] = []
        if process is None:
            process = self._processes[name] = _Process(-1, now_s)
        if not isinstance(event, Here):
            expected = process.number + isinstance(event, COUNTED)
            if envelope.number != expected:
                effects.append(Tell(name, Asked()))
        process.number, process.heard_s = envelope.number, now_s
        return [*effects, *self._apply(name, event, now_s)]

    def _apply(self, process: str, event: AnyEvent, now_s: float) -> list[Effect]:
        match event:
            case Here():
                self._history.add(event.lines)
                return self._replace(process, event.members, now_s)
            case Came():
                return self._take_in(process, event.member, now_s)
            case Went():
                member = self._members.get((process, event.connection))
                return [] if member is None else self._room.leave(member, now_s)
            case Told():
                return self._told((process, event.connection), event.offer, event.status)
            case Said():
                return self._said((process, event.connection), event.line)
            case Carried():
                return self._carried(process, event)
            case Asked():
                return [Tell(process, self._here())]
            case Ended() | Alive() | Leaving():
                return []

    def _here(self) -> Here:
        return Here(tuple(seen(m) for m in self._members.here()), self._history.lines)

    def _lose(self, process: str, now_s: float) -> list[Effect]:
        self._processes.pop(process, None)
        return self._replace(process, (), now_s)

    def _replace(self, process: str, members: Iterable[Seen], now_s: float) -> list[Effect]:
        """Make the copy of a process what it says now."""
        told: dict[ConnectionId | RemoteId, Seen] = {(process, m.connection): m for m in members}
        effects: list[Effect] = []
        for old in self._members.of_process(process):
            new = told.get(old.connection)
            if new is None or (new.jid, new.arrival) != (old.full, old.who.arrival):
                effects += self._room.leave(old, now_s)
        for member in told.values():
            effects += self._take_in(process, member, now_s)
        return effects

    def _take_in(self, process: str, told: Seen, now_s: float) -> list[Effect]:
        identity = (process, told.connection)
        if self._members.get(identity) is not None:
            return self._told(identity, told.offer, told.status)
        try:
            jid = JID.parse(told.jid)
        except JIDError:
            return []
        who = Newcomer(jid, told.role, told.name, told.capabilities, told.arrival)
        member = Member(identity, who, Party(jid.bare, told.role), now_s)
        in_the_way = self._members.in_the_way(member)
        if not all(member.beats(other) for other in in_the_way):
            # Its own process will hear of the one that beats it, and close it. Until then it has
            # forgotten those whom the loser would have beaten; but they stay.
            here = any(member.beats(other) and not other.is_remote for other in in_the_way)
            return [Tell(process, self._here())] if here else []
        effects = self._room.take_in(member, now_s)
        return [*effects, *self._told(identity, told.offer, told.status)]

    def _told(
        self,
        identity: tuple[str, int],
        offer: OfferMedia | None,
        status: dict[str, object] | None,
    ) -> list[Effect]:
        """A device's readiness and Status, to those here who may see it; nothing that is known."""
        if (member := self._members.get(identity)) is None:
            return []
        if offer == member.offer:
            offer = None
        if status == member.status:
            status = None
        member.update(offer, status)
        effects: list[Effect] = []
        hearers = self._members.who_see(member) if offer or status is not None else []
        if offer is not None:
            effects += send((m for m in hearers if not m.party.is_device), offer)
        if status is not None:
            message = Status(fields=status, from_=member.full)
            effects += send((m for m in hearers if member.tells(m)), message)
        return effects

    def _said(self, identity: tuple[str, int], line: Line) -> list[Effect]:
        if (speaker := self._members.get(identity)) is None:
            return []
        self._history.add([line])
        return send(self._members.who_see(speaker), line.chat)

    def _carried(self, process: str, event: Carried) -> list[Effect]:
        """A message for one here: asked once more, by this process' own rules."""
        sender = self._members.get((process, event.connection))
        target = self._members.get(event.to)
        if sender is None or target is None:
            return []
        if not (shared := self._members.shared(sender, target)):
            return []
        message = event.message
        if isinstance(message, RequestMedia):
            message = msgspec.structs.replace(message, locations=shared)
        return send([target], msgspec.structs.replace(message, from_=sender.full))


def seen(member: Member) -> Seen:
    """A connection of this process, as the others keep it."""
    assert not isinstance(member.connection, tuple)
    who = member.who
    return Seen(
        connection=member.connection,
        arrival=who.arrival,
        jid=member.full,
        role=who.role,
        name=who.name,
        capabilities=who.capabilities,
        offer=member.offer,
        status=member.status,
    )
