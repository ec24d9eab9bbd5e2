"""AAC's AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), alone and inside LATM's StreamMuxConfig."""

from dataclasses import dataclass

from ucam.media.bits import BitReader
from ucam.media.errors import BitstreamError

# samplingFrequencyIndex (§1.6.3.4); 15 is followed by the rate itself.
# fmt: off
SAMPLE_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)
# fmt: on
_MAX_CONFIG = 64
# AAC-LC of one channel at 16 kHz: what G.711 is stored as.
SPEECH = bytes.fromhex("1408")
SPEECH_RATE = 16_000
_SBR, _PS = 5, 29
# Object types with a GASpecificConfig that this reads: main, LC, SSR, LTP.
_GENERAL = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """What ucam needs of an AudioSpecificConfig.

    `object_type`: as signalled first (5 and 29 are HE-AAC). `sample_rate`: of the core coder.
    `frame_samples`: of the core coder a frame. `bits`: how long the config is.
    """

    object_type: int
    sample_rate: int
    channels: int
    frame_samples: int
    bits: int


def parse_audio_config(config: bytes) -> AudioConfig:
    """Read an AudioSpecificConfig; bits behind it are passed over. Raises `BitstreamError`."""
    if not 2 <= len(config) <= _MAX_CONFIG:
        raise BitstreamError(f"an AAC configuration of {len(config)} bytes")
    return _read(BitReader(config), len(config) * 8)


def parse_stream_mux_config(config: bytes) -> bytes:
    """The AudioSpecificConfig inside a StreamMuxConfig (§1.7.3) of one program, one layer and one
    frame an element, as RFC 6416 carries it. Raises `BitstreamError`.
    """
    if not 4 <= len(config) <= _MAX_CONFIG:
        raise BitstreamError(f"a StreamMuxConfig of {len(config)} bytes")
    bits = BitReader(config)
    version, same_framing, sub_frames, programs, layers = (bits.u(n) for n in (1, 1, 6, 4, 3))
    if version or not same_framing or sub_frames or programs or layers:
        raise BitstreamError("LATM of more than one frame, program or layer an element")
    shift = 15
    total = len(config) * 8 - shift
    inside = (int.from_bytes(config) & (1 << total) - 1) << (-total % 8)
    data = inside.to_bytes((total + 7) // 8)
    found = _read(BitReader(data), len(data) * 8)
    length = (found.bits + 7) // 8
    value = int.from_bytes(data[:length])
    return (value >> (length * 8 - found.bits) << (length * 8 - found.bits)).to_bytes(length)


def _read(bits: BitReader, length: int) -> AudioConfig:
    object_type = _object_type(bits)
    rate = _sample_rate(bits)
    channel_code = bits.u(4)
    core = object_type
    if object_type in (_SBR, _PS):
        _sample_rate(bits)
        core = _object_type(bits)
    if core not in _GENERAL:
        raise BitstreamError(f"audio object type {object_type} is not AAC as ucam knows it")
    short = bits.flag()
    if bits.flag():
        bits.u(14)
    bits.flag()
    if not 1 <= channel_code <= 7:
        raise BitstreamError(f"AAC with channel configuration {channel_code}")
    channels = 8 if channel_code == 7 else channel_code
    return AudioConfig(object_type, rate, channels, 960 if short else 1024, length - bits.left)


def _object_type(bits: BitReader) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == 31 else kind


def _sample_rate(bits: BitReader) -> int:
    index = bits.u(4)
    rate = bits.u(24) if index == 15 else SAMPLE_RATES[index] if index < 13 else 0
    if not 7350 <= rate <= 96_000:
        raise BitstreamError(f"AAC at {rate} samples a second")
    return rate
