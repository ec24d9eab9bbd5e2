"""What a camera and the process of one of its calls say to each other, as JSON."""

from typing import Literal

import msgspec

from ucam.capture.callsdp import IceSetup


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A call that begins. `profile_level_id`: of H.264."""

    codec: Literal["h264", "h265"]
    profile_level_id: str = ""
    sound: bool = False
    ice: IceSetup = IceSetup()


class _Message(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class Answer(_Message, frozen=True, tag="answer"):
    """From the viewer."""

    sdp: str


class Candidate(_Message, frozen=True, tag="candidate"):
    """An ICE candidate of either side; `line`: the number of its medium."""

    text: str
    line: int | None = None


class Stop(_Message, frozen=True, tag="stop"):
    """End yourself."""


class Started(_Message, frozen=True, tag="started"):
    """The process is there."""

    pid: int


class Offer(_Message, frozen=True, tag="offer"):
    """To the viewer."""

    sdp: str


class Connected(_Message, frozen=True, tag="connected"):
    """The viewer can be sent to."""


class KeyframeWanted(_Message, frozen=True, tag="keyframe"):
    """The viewer can't decode what he gets."""


class Heard(_Message, frozen=True, tag="heard"):
    """A sign of life from the viewer."""


class Ended(_Message, frozen=True, tag="ended"):
    """The call can't go on."""

    reason: str


ToCall = Answer | Candidate | Stop
FromCall = Started | Offer | Candidate | Connected | KeyframeWanted | Heard | Ended
MAX_BYTES = 150_000  # a message of the room is 64 KiB at most, before it is escaped

_encoder = msgspec.json.Encoder()
_to_call: msgspec.json.Decoder[ToCall] = msgspec.json.Decoder(ToCall)
_from_call: msgspec.json.Decoder[FromCall] = msgspec.json.Decoder(FromCall)
_setup = msgspec.json.Decoder(Setup)


def encode(message: Setup | ToCall | FromCall) -> bytes:
    """As bytes of one datagram."""
    return _encoder.encode(message)


def decode_setup(data: bytes) -> Setup:
    """Raises `msgspec.DecodeError`, as the others do."""
    return _setup.decode(data)


def decode_to_call(data: bytes) -> ToCall:
    """What the camera says to a call."""
    return _to_call.decode(data)


def decode_from_call(data: bytes) -> FromCall:
    """What a call says to the camera."""
    return _from_call.decode(data)
