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
from ucam.web.members import Effect, Member, Members, send

MAX_CHAT_CHARACTERS = 2000
MAX_CALL_CHARACTERS = 128


class Refusal(Exception):  # noqa: N818 - an answer to a sender, not an error of ours
    """Why a message is not carried: the code and text of the `Error` that answers it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def carry(members: Members, sender: Member, message: AnyMessage, now_s: float) -> list[Effect]:
    """The effects of one message; raises `Refusal`."""
    match message:
        case RequestMedia():
            target = _target(members, sender, message.to)
            _require(not sender.party.is_device, "a device can't ask for media")
            wanted = "device" if message.kind == "live" else "storage"
            _require(target.party.role == wanted, f"{message.kind} media come from a {wanted}")
            # The locations that both see, not all of the sender's: a device learns no others.
            shared = members.shared(sender, target)
            return _relay(sender, target, msgspec.structs.replace(message, locations=shared))
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
            return _chat(members, sender, message, now_s)
        case Status():
            return _status(members, sender, message)
        case _:
            raise Refusal("bad-message", "only the server sends this")


def _ready(members: Members, sender: Member, message: OfferMedia) -> list[Effect]:
    _require(sender.party.is_device, "only a device says that it is ready")
    _require(bool(message.sdp), "readiness needs an sdp that describes the tracks")
    offer = msgspec.structs.replace(message, from_=str(sender.who.jid))
    sender.offer = offer
    return send((m for m in members.who_see(sender) if not m.party.is_device), offer)


def _chat(members: Members, sender: Member, message: Chat, now_s: float) -> list[Effect]:
    _require(bool(message.text.strip()), "an empty text says nothing")
    _require(len(message.text) <= MAX_CHAT_CHARACTERS, f"at most {MAX_CHAT_CHARACTERS} characters")
    if message.to is None:
        receivers = list(members.who_see(sender))
    elif not (receivers := members.person(sender, message.to)):
        raise _nobody()
    time = format_utc(round(now_s * 1e6))
    stamped = msgspec.structs.replace(message, from_=str(sender.who.jid), time=time)
    # The sender hears itself: its page shows what was said when the room heard it.
    return send([sender, *(m for m in receivers if m is not sender)], stamped)


def _status(members: Members, sender: Member, message: Status) -> list[Effect]:
    _require(sender.party.is_device, "only a device has a status")
    sender.status = message.fields
    stamped = msgspec.structs.replace(message, from_=str(sender.who.jid))
    return send((m for m in members.who_see(sender) if sender.tells(m)), stamped)


def _target(members: Members, sender: Member, to: str) -> Member:
    if (target := members.one(sender, to)) is None:
        raise _nobody()
    return target


def _relay(
    sender: Member, target: Member, message: RequestMedia | OfferMedia | AnswerMedia | EndMedia
) -> list[Effect]:
    """The message on its way to one peer, stamped with its true sender."""
    call = message.call or ""
    _require(0 < len(call) <= MAX_CALL_CHARACTERS, "a call needs a name, and a short one")
    stamped = msgspec.structs.replace(message, from_=str(sender.who.jid), to=str(target.who.jid))
    return send([target], stamped)


def _nobody() -> Refusal:
    return Refusal("no-such-peer", "nobody of that name is here")


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise Refusal("bad-message", text)
