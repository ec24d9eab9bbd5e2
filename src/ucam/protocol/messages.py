"""The messages of the room, as frozen tagged structs: JSON objects with `type` first.

`decode` reads a message, `encode` writes one. In what a client sends, `from` is ignored: the
server's word counts. Times are RFC 3339 in UTC.
"""

from typing import Any, Literal

import msgspec

from ucam.base.tokens import Role

MAX_MESSAGE_BYTES = 64 * 1024
# Of a Status, whose fields are open: a deep one that just passes here would break whoever has to
# write or read it inside a Welcome.
MAX_DEPTH = 16
MAX_ABOUT_CHARACTERS = 128
MAX_REASON_CHARACTERS = 300


class ProtocolError(ValueError):
    """A text that is no message of the room; `about` is its type where that could be read."""

    def __init__(self, text: str, about: str | None = None) -> None:
        super().__init__(text)
        self.about = about


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", omit_defaults=True):
    """A part of a message."""


class Message(Record, frozen=True, kw_only=True, tag_field="type", tag=True):
    """A message; its class name is the value of `type`."""


class IceServer(Record, frozen=True, kw_only=True):
    """An `RTCIceServer` of the browser's API."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class IceCandidate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An `RTCIceCandidateInit` of the browser's API; an empty candidate ends them."""

    candidate: str
    sdp_mid: str | None = None
    sdp_m_line_index: int | None = msgspec.field(default=None, name="sdpMLineIndex")


class Peer(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Who is in the room, as one who may see it sees it."""

    jid: str
    name: str
    role: Role
    location: str | None
    capabilities: tuple[str, ...] = ()
    ready: bool = False
    status: dict[str, Any] | None = None


class DeviceInfo(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A device that the configuration names, connected or not."""

    jid: str
    name: str
    last_seen: str | None = None


class LocationInfo(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A location that the receiver may see."""

    name: str
    title: str
    timezone: str | None
    storage: str | None
    devices: tuple[DeviceInfo, ...]


class Connect(Message, frozen=True, kw_only=True, omit_defaults=False):
    """Server to everyone who may see that peer: it has come."""

    jid: str
    name: str
    role: Role
    location: str | None
    capabilities: tuple[str, ...] = ()


class Disconnect(Message, frozen=True, kw_only=True, omit_defaults=False):
    """Server to everyone who may see that peer: it has gone."""

    jid: str
    name: str
    role: Role
    location: str | None
    capabilities: tuple[str, ...] = ()


Kind = Literal["live", "recordings"]


class RequestMedia(Message, frozen=True, kw_only=True):
    """Viewer to device: open a call. The server adds `from` and the sender's `locations`."""

    to: str
    call: str
    kind: Kind
    from_: str | None = msgspec.field(default=None, name="from")
    locations: tuple[str, ...] = ()


class OfferMedia(Message, frozen=True, kw_only=True):
    """Device to a viewer: an offer or an ICE candidate. Without `to`: "I am ready"."""

    to: str | None = None
    call: str | None = None
    sdp: str | None = None
    ice: IceCandidate | None = None
    from_: str | None = msgspec.field(default=None, name="from")


class AnswerMedia(Message, frozen=True, kw_only=True):
    """Viewer to device: an answer or an ICE candidate."""

    to: str
    call: str
    sdp: str | None = None
    ice: IceCandidate | None = None
    from_: str | None = msgspec.field(default=None, name="from")


class EndMedia(Message, frozen=True, kw_only=True):
    """Either way: the call is over."""

    to: str
    call: str
    reason: str = ""
    from_: str | None = msgspec.field(default=None, name="from")


class Locate(Message, frozen=True, kw_only=True):
    """Viewer to camera: blink, so that somebody who stands in front of you knows you."""

    to: str
    from_: str | None = msgspec.field(default=None, name="from")


class Chat(Message, frozen=True, kw_only=True):
    """Anyone to the room, or to one person; the server adds `from` and `time`."""

    text: str
    to: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    time: str | None = None


class Welcome(Message, frozen=True, kw_only=True, omit_defaults=False):
    """Server to who just connected, and again when what it told has changed: it replaces all.

    `chat`: what was said to the room lately, oldest first; nothing to devices.
    """

    jid: str
    roster: tuple[Peer, ...]
    ice_servers: tuple[IceServer, ...]
    server_time: str
    locations: tuple[LocationInfo, ...]
    chat: tuple[Chat, ...] = ()


class Error(Message, frozen=True, kw_only=True):
    """Server to sender. `about` is the call, or the type, of the message that was refused."""

    code: str
    text: str
    about: str | None = None


class TokensChanged(Message, frozen=True, kw_only=True):
    """Server to storages: other keys sign, or tokens were revoked. Ask for the key set anew."""


class Status(Message, frozen=True, kw_only=True):
    """Device to everyone who may see it. Fields that this version doesn't know are kept."""

    fields: dict[str, Any]
    from_: str | None = msgspec.field(default=None, name="from")


AnyMessage = (
    Welcome
    | Connect
    | Disconnect
    | RequestMedia
    | OfferMedia
    | AnswerMedia
    | EndMedia
    | Locate
    | Chat
    | Error
    | TokensChanged
    | Status
)
_Coded = (
    Welcome
    | Connect
    | Disconnect
    | RequestMedia
    | OfferMedia
    | AnswerMedia
    | EndMedia
    | Locate
    | Chat
    | Error
    | TokensChanged
)
_decoder = msgspec.json.Decoder(_Coded)
_raw_decoder = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()


def decode(data: bytes | str, max_bytes: int = MAX_MESSAGE_BYTES) -> AnyMessage:
    """Read one message; raises `ProtocolError`.

    What clients send has at most 64 KiB; a server's Welcome grows with the roster.
    """
    size = len(data) if isinstance(data, bytes) else len(data.encode())
    if size > max_bytes:
        raise ProtocolError(f"message of {size} bytes; {max_bytes} are allowed")
    kind: str | None = None
    try:
        raw = _raw_decoder.decode(data)
        kind = raw["type"][:MAX_ABOUT_CHARACTERS] if isinstance(raw.get("type"), str) else None
        if kind == "Status":
            return _status(raw)
        message: AnyMessage = _decoder.decode(data)
        return message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The reason may quote what was sent, at any length.
        reason = str(error)[:MAX_REASON_CHARACTERS]
        raise ProtocolError(f"not a message of the room: {reason}", kind) from None


def _status(raw: dict[str, Any]) -> Status:
    """An open set of fields (a newer device tells more), so it is read by hand."""
    sender = raw.pop("from", None)
    del raw["type"]
    if not _shallow(raw, MAX_DEPTH):
        raise ProtocolError(f"a Status nests at most {MAX_DEPTH} deep", "Status")
    return Status(fields=raw, from_=sender if isinstance(sender, str) else None)


def _shallow(value: object, levels: int) -> bool:
    """Whether at most `levels` objects and lists stand inside each other."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_shallow(one, levels - 1) for one in inner)


def encode(message: AnyMessage) -> str:
    """The JSON text of a message, `type` first."""
    if isinstance(message, Status):
        sender = {} if message.from_ is None else {"from": message.from_}
        fields = {k: v for k, v in message.fields.items() if k not in ("type", "from")}
        return _encoder.encode({"type": "Status", **sender, **fields}).decode()
    return _encoder.encode(message).decode()
