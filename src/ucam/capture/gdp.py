"""GStreamer Data Protocol 1.0: what `gdpdepay` reads from a pipe, as bytes.

A packet is a header of 62 bytes, big-endian, and a payload: a buffer's bytes, or caps and events
as GStreamer writes them as text. Without checksums: pipes lose nothing.
"""

import struct

_HEADER = struct.Struct(">BBBxHIQQQQH14xHH")
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
