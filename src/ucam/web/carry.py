"""How the room carries a message from one member to others. No I/O.

A receiver is found only by `Members`, which asks `Access`: a peer that may not be seen is answered
for exactly like one that isn't there.
"""

import msgspec

from ucam.base.times import format_utc
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    Chat,
    EndMedia,
    Locate,
    OfferMedia,
    RequestMedia,
    Status,
)
from ucam.web.events import Line, Said, Told
from ucam.web.history import History
from ucam.web.members import Effect, Member, Members, Opened, Tell, carry_to, send

MAX_CHAT_CHARACTERS = 2000
MAX_CALL_CHARACTERS = 128


class Refusal(Exception):  # noqa: N818 - an answer to a sender, not an error of ours
    """Why a message is not carried: the code and text of the `Error` that answers it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def carry(
    members: Members, history: History, sender: Member, message: AnyMessage, now_s: float
) -> list[Effect]:
    """The effects of one message; raises `Refusal`."""
    match message:
        case RequestMedia():
            target = _target(members, sender, message.to)
            _require(not sender.party.is_device, "a device can't ask for media")
            wanted = "device" if message.kind == "live" else "storage"
            _require(target.party.role == wanted, f"{message.kind} media come from a {wanted}")
            # The locations that both see, not all of the sender's: a device learns no others.
            shared = members.shared(sender, target)
            request = msgspec.structs.replace(message, locations=shared)
            opened = Opened(sender.party, target.party, message.kind, shared)
            return [*_relay(sender, target, request), opened]
        case OfferMedia(to=None):
            return _ready(members, sender, message)
        case OfferMedia():
            target = _target(members, sender, message.to or "")
            _require(sender.party.is_device, "only a device offers media")
            _require(not target.party.is_device, "media are offered to viewers")
            _require(bool(message.sdp or message.ice), "an offer needs sdp or ice")
            return _relay(sender, target, message)
        case AnswerMedia():
            target = _target(members, sender, message.to)
            _require(not sender.party.is_device, "a device can't answer")
            _require(target.party.is_device, "answers go to devices")
            _require(bool(message.sdp or message.ice), "an answer needs sdp or ice")
            return _relay(sender, target, message)
        case EndMedia():
            target = _target(members, sender, message.to)
            a_call = sender.party.is_device != target.party.is_device
            _require(a_call, "calls are between a viewer and a device")
            return _relay(sender, target, message)
        case Locate():
            target = _target(members, sender, message.to)
            _require(not sender.party.is_device, "a device can't ask for that")
            _require(target.party.role == "device", "only a camera can be located")
            stamped = msgspec.structs.replace(
                message, from_=str(sender.who.jid), to=str(target.who.jid)
            )
            return send([target], stamped)
        case Chat():
            return _chat(members, history, sender, message, now_s)
        case Status():
            return _status(members, sender, message)
        case _:
            raise Refusal("bad-message", "only the server sends this")


def _ready(members: Members, sender: Member, message: OfferMedia) -> list[Effect]:
    _require(sender.party.is_device, "only a device says that it is ready")
    _require(bool(message.sdp), "readiness needs an sdp that describes the tracks")
    offer = msgspec.structs.replace(message, from_=sender.full)
    sender.update(offer, None)
    hearers = (m for m in members.who_see(sender) if not m.party.is_device)
    return [*send(hearers, offer), Tell(None, Told(number_of(sender), offer=offer))]


def _chat(
    members: Members, history: History, sender: Member, message: Chat, now_s: float
) -> list[Effect]:
    _require(bool(message.text.strip()), "an empty text says nothing")
    _require(len(message.text) <= MAX_CHAT_CHARACTERS, f"at most {MAX_CHAT_CHARACTERS} characters")
    time = format_utc(round(now_s * 1e6))
    stamped = msgspec.structs.replace(message, from_=sender.full, time=time)
    # The sender hears itself: its page shows what was said when the room heard it.
    if message.to is None:
        line = Line(stamped, sender.party.role, members.access.locations_of(sender.party))
        history.add([line])
        told = Tell(None, Said(number_of(sender), line))
        return [*send([sender, *members.who_see(sender)], stamped), told]
    if not (receivers := members.person(sender, message.to)):
        raise _nobody()
    others = [m for m in receivers if m is not sender]
    if any(m.is_remote for m in others):
        _require_reach(members)
    return [*send([sender], stamped), *carry_to(sender, others, stamped)]


def _status(members: Members, sender: Member, message: Status) -> list[Effect]:
    _require(sender.party.is_device, "only a device has a status")
    sender.update(None, message.fields)
    stamped = msgspec.structs.replace(message, from_=sender.full)
    hearers = (m for m in members.who_see(sender) if sender.tells(m))
    told = Tell(None, Told(number_of(sender), status=message.fields))
    return [*send(hearers, stamped), told]


def _target(members: Members, sender: Member, to: str) -> Member:
    if (target := members.one(sender, to)) is None:
        raise _nobody()
    if target.is_remote:
        _require_reach(members)
    return target


def _relay(
    sender: Member, target: Member, message: RequestMedia | OfferMedia | AnswerMedia | EndMedia
) -> list[Effect]:
    """The message on its way to one peer, stamped with its true sender."""
    call = message.call or ""
    _require(0 < len(call) <= MAX_CALL_CHARACTERS, "a call needs a name, and a short one")
    stamped = msgspec.structs.replace(message, from_=sender.full, to=target.full)
    return carry_to(sender, [target], stamped)


def number_of(member: Member) -> int:
    """The number of a connection of this process."""
    assert not isinstance(member.connection, tuple)
    return member.connection


def _nobody() -> Refusal:
    return Refusal("no-such-peer", "nobody of that name is here")


def _require_reach(members: Members) -> None:
    if not members.reach:
        raise Refusal("unavailable", "that peer can't be reached just now; try again in a minute")


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise Refusal("bad-message", text)
