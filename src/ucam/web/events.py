"""What the processes of one web application tell each other about the room. No I/O.

Each process tells of its own connections; the others keep a copy. `number` counts what a process
has told everybody, so that who missed something notices and asks for all of it anew.
"""

from typing import Any

import msgspec

from ucam.base.tokens import Role
from ucam.protocol.messages import AnswerMedia, Chat, EndMedia, OfferMedia, RequestMedia

Directed = RequestMedia | OfferMedia | AnswerMedia | EndMedia | Chat


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=True):
    """Something that one process tells others; its class name is the value of `event`."""


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One connection, as the others keep it."""

    connection: int
    arrival: int
    jid: str
    role: Role
    name: str
    capabilities: tuple[str, ...] = ()
    offer: OfferMedia | None = None
    status: dict[str, Any] | None = None


class Line(msgspec.Struct, frozen=True):
    """Something that was said to the room: by whom, and where it could be heard."""

    chat: Chat
    role: Role
    places: tuple[str, ...]


class Here(Event, frozen=True):
    """All connections of this process, and what was said lately."""

    members: tuple[Seen, ...]
    lines: tuple[Line, ...]


class Came(Event, frozen=True):
    """A connection has come."""

    member: Seen


class Went(Event, frozen=True):
    """A connection has gone."""

    connection: int


class Told(Event, frozen=True, omit_defaults=True):
    """A device has said that it is ready, or how it is."""

    connection: int
    offer: OfferMedia | None = None
    status: dict[str, Any] | None = None


class Said(Event, frozen=True):
    """Words to the room."""

    connection: int
    line: Line


class Carried(Event, frozen=True):
    """A message from one connection to one of the receiving process."""

    connection: int
    to: int
    message: Directed


class Ended(Event, frozen=True):
    """A session is over: whoever holds sockets of it closes them."""

    session: str


class Asked(Event, frozen=True):
    """Who hears this tells who asked `Here`."""


class Alive(Event, frozen=True):
    """Nothing new."""


class Leaving(Event, frozen=True):
    """This process ends, its connections with it."""


AnyEvent = Here | Came | Went | Told | Said | Carried | Ended | Asked | Alive | Leaving
COUNTED = (Came, Went, Told, Said, Ended)


class Envelope(msgspec.Struct, frozen=True):
    """An event with its process, and how many it has told everybody so far (`COUNTED` ones)."""

    process: str
    number: int
    event: AnyEvent


_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


def decode(data: bytes) -> Envelope:
    """Read an envelope; raises `ValueError`."""
    return _decoder.decode(data)


def encode(envelope: Envelope) -> bytes:
    """Write an envelope."""
    return _encoder.encode(envelope)
