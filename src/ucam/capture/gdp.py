"""GStreamer Data Protocol 1.0: what `gdpdepay` reads from a pipe, and what `gdppay` writes.

A packet is a header of 62 bytes, big-endian, and a payload: a buffer's bytes, or caps and events
as GStreamer writes them as text. Without checksums: pipes lose nothing.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

_HEADER = struct.Struct(">BBBxHIQQQQH14xHH")
# Of it what is read: version, kind, length, time stamp, flags.
_READ = struct.Struct(">B3xHIQ24xH18x")
_HEADER_BYTES = _HEADER.size
_VERSION = (1, 0)
_NONE = (1 << 64) - 1
_BUFFER, _CAPS, _EVENT = 1, 2, 64
# GstEventType: its number and its flags, as in the event's C value.
_STREAM_START, _SEGMENT = 10254, 17934
DELTA_UNIT = 1 << 13  # GstBufferFlags: depends on pictures before it
# Running time is the time stamp itself.
_SEGMENT_TEXT = (
    'GstEventSegment, segment=(GstSegment)"segment, flags=(GstSegmentFlags)GST_SEGMENT_FLAG_NONE,'
    " rate=(double)1, applied-rate=(double)1, format=(GstFormat)time, base=(guint64)0,"
    " offset=(guint64)0, start=(guint64)0, stop=(guint64)18446744073709551615, time=(guint64)0,"
    ' position=(guint64)0, duration=(guint64)18446744073709551615;";'
)
_STREAM_TEXT = (
    "GstEventStreamStart, stream-id=(string)camera, flags=(GstStreamFlags)GST_STREAM_FLAG_NONE;"
)


class Broken(ValueError):  # noqa: N818 - the pipe is
    """What was read is no GDP."""


class Buffer(NamedTuple):
    """`pts_ns`: None where it has none. `delta`: it depends on those before it."""

    data: bytes
    pts_ns: int | None
    delta: bool


@dataclass(frozen=True, slots=True)
class Caps:
    """Buffers are of this kind from here on."""

    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """What time stamps mean from here on: an event that holds a `GstSegment`, as text."""

    text: str


Packet = Buffer | Caps | Segment


class Parser:
    """What comes through a pipe in pieces of any size; payloads of at most `max_payload` bytes."""

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._rest = b""

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are whole now, of kinds that matter; raises `Broken`."""
        if self._rest:
            data = self._rest + data
        found: list[Packet] = []
        start, size = 0, len(data)
        while size - start >= _HEADER_BYTES:
            major, kind, length, pts_ns, flags = _READ.unpack_from(data, start)
            if major != _VERSION[0] or length > self._max_payload:
                raise Broken(f"version {major}, {length} bytes")
            begin = start + _HEADER_BYTES
            end = begin + length
            if end > size:
                break
            payload = data[begin:end]
            if kind == _BUFFER:
                time_ns = None if pts_ns == _NONE else pts_ns
                found.append(Buffer(payload, time_ns, bool(flags & DELTA_UNIT)))
            elif kind == _CAPS:
                found.append(Caps(_read_text(payload)))
            elif kind == _EVENT + _SEGMENT:
                found.append(Segment(_read_text(payload)))
            start = end
        self._rest = data[start:]
        return found


def _read_text(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode(errors="replace")


def beginning(caps: str) -> bytes:
    """What comes before buffers: once at the start of a stream."""
    return (
        _text(_EVENT + _STREAM_START, _STREAM_TEXT)
        + new_caps(caps)
        + _text(_EVENT + _SEGMENT, _SEGMENT_TEXT)
    )


def new_caps(caps: str) -> bytes:
    """From here on, buffers are of this kind; in the middle of a stream as well."""
    return _text(_CAPS, caps)


def buffer(data: bytes, pts_ns: int, *, delta: bool) -> bytes:
    """One buffer: an access unit. `delta`: it depends on those before it."""
    flags = DELTA_UNIT if delta else 0
    return _packet(_BUFFER, data, pts_ns, flags)


def _text(kind: int, text: str) -> bytes:
    return _packet(kind, text.encode() + b"\0")


def _packet(kind: int, payload: bytes, pts_ns: int = _NONE, flags: int = 0) -> bytes:
    numbers = (kind, len(payload), pts_ns, _NONE, _NONE, _NONE, flags, 0, 0)
    return _HEADER.pack(*_VERSION, 0, *numbers) + payload
