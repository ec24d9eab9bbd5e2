"""How a track's codec stands in an MP4 file: the sample entry of its `stsd`, both ways."""

import struct

from ucam.media.avcc import build_avcc, parse_avcc
from ucam.media.boxes import Box, box, children, full_box
from ucam.media.errors import ContainerError
from ucam.media.hvcc import build_hvcc, parse_hvcc
from ucam.media.track import AudioTrack, Track, VideoTrack

# Bytes of a visual and of an audio sample entry before their boxes (14496-12 §12.1.3, §12.2.3).
_VISUAL, _AUDIO = 78, 28
_MAX_DESCRIPTOR = 0xFFFF
# Tags of the descriptors in an esds (14496-1 §7.2.2.1).
_ES, _DECODER, _SPECIFIC, _SL = 3, 4, 5, 6
_AAC, _AUDIO_STREAM = 0x40, 0x15


def sample_entry(track: Track) -> bytes:
    """The sample entry of a track; raises `MediaError`."""
    if isinstance(track, AudioTrack):
        return _mp4a(track) if track.codec == "aac" else _opus(track)
    if track.codec == "h265":
        return _visual(b"hvc1", track, box(b"hvcC", build_hvcc(track.parameter_sets)))
    return _visual(b"avc1", track, box(b"avcC", build_avcc(track.parameter_sets)))


def read_sample_entry(view: memoryview, stsd: Box) -> Track:
    """The track that a stsd's first entry describes; raises `MediaError`."""
    entries = children(view, stsd, skip=8)
    for kind, entry in entries.items():
        if kind in (b"avc1", b"hvc1"):
            parse = parse_avcc if kind == b"avc1" else parse_hvcc
            name = b"avcC" if kind == b"avc1" else b"hvcC"
            sets = parse(_inside(view, entry, _VISUAL, name))
            return VideoTrack.h264(sets) if kind == b"avc1" else VideoTrack.h265(sets)
        if kind == b"mp4a":
            return AudioTrack.aac(_specific_config(_inside(view, entry, _AUDIO, b"esds")))
        if kind == b"Opus":
            return AudioTrack.opus(_inside(view, entry, _AUDIO, b"dOps")[1])
    raise ContainerError(f"no codec that ucam knows in the stsd at byte {stsd.start}")


def _inside(view: memoryview, entry: Box, skip: int, kind: bytes) -> bytes:
    found = children(view, entry, skip=skip).get(kind)
    if found is None or found.end - found.body < 2:
        raise ContainerError(f"{entry.kind!r} at byte {entry.start} without {kind!r}")
    return bytes(view[found.body : found.end])


def _visual(kind: bytes, track: VideoTrack, config: bytes) -> bytes:
    seventy_two_dpi = 0x480000
    entry = struct.pack(
        ">6xH16xHHIIIH32xHh",
        1,
        track.width,
        track.height,
        seventy_two_dpi,
        seventy_two_dpi,
        0,
        1,
        24,
        -1,
    )
    return box(kind, entry, config)


def _audio(kind: bytes, track: AudioTrack, config: bytes) -> bytes:
    rate = track.sample_rate << 16 if track.sample_rate <= 0xFFFF else 0
    entry = struct.pack(">6xH8xHHII", 1, track.channels, 16, 0, rate)
    return box(kind, entry, config)


def _mp4a(track: AudioTrack) -> bytes:
    """AAC (14496-14 §5.6): an elementary stream descriptor around the AudioSpecificConfig."""
    decoder = struct.pack(">BB3xII", _AAC, _AUDIO_STREAM, 0, 0)
    inside = _descriptor(_DECODER, decoder + _descriptor(_SPECIFIC, track.config))
    stream = _descriptor(_ES, b"\0\0\0" + inside + _descriptor(_SL, b"\x02"))
    return _audio(b"mp4a", track, full_box(b"esds", 0, 0, stream))


def _opus(track: AudioTrack) -> bytes:
    """Opus in ISOBMFF §4.3.2. Nothing is skipped at the start: a stream is joined in its middle,
    and its time stamps are those of what a decoder gives.
    """
    config = struct.pack(">BBHIhB", 0, track.channels, 0, track.sample_rate, 0, 0)
    return _audio(b"Opus", track, box(b"dOps", config))


def _descriptor(tag: int, content: bytes) -> bytes:
    if len(content) > 127:
        raise ContainerError(f"a descriptor of {len(content)} bytes")
    return bytes((tag, len(content))) + content


def _specific_config(esds: bytes) -> bytes:
    """The AudioSpecificConfig of an esds as `_mp4a` writes it, or with longer lengths."""
    position = 4
    for tag, fields in ((_ES, 3), (_DECODER, 13), (_SPECIFIC, 0)):
        if position + 2 > len(esds) or esds[position] != tag:
            raise ContainerError(f"no descriptor {tag} at byte {position} of the esds")
        length, position = 0, position + 1
        for _ in range(4):
            byte, position = esds[min(position, len(esds) - 1)], position + 1
            length = length << 7 | byte & 0x7F
            if byte < 0x80:
                break
        if position + length > len(esds):
            raise ContainerError("an esds that is cut short")
        position, size = position + fields, length - fields
    return esds[position : position + size]
