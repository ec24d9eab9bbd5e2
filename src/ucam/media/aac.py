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
    return _config_of_mux(BitReader(config))


def _config_of_mux(bits: BitReader) -> bytes:
    version, same_framing, sub_frames, programs, layers = (bits.u(n) for n in (1, 1, 6, 4, 3))
    if version or not same_framing or sub_frames or programs or layers:
        raise BitstreamError("LATM of more than one frame, program or layer an element")
    begin = bits.copy()
    length = _read(bits, bits.left).bits
    return (begin.u(length) << -length % 8).to_bytes((length + 7) // 8)


def parse_audio_mux_element(element: bytes, config: bytes) -> tuple[bytes, bytes]:
    """The configuration and the frame of an AudioMuxElement that may begin with one (§1.7.3.1,
    muxConfigPresent). `config`: what was in force before it, empty if nothing was. Raises
    `BitstreamError`.
    """
    bits = BitReader(element)
    if not bits.flag():  # useSameStreamMux
        config = _config_of_mux(bits)
        if bits.u(3):
            raise BitstreamError("LATM of frames without their lengths")
        bits.u(8)  # how full the coder's buffer was
        if bits.flag():  # other data behind the frame: how many bits of it
            while bits.u(9) & 0x100:
                pass
        if bits.flag():
            bits.u(8)  # a checksum
    if not config:
        raise BitstreamError("LATM before its configuration")
    size = 0
    while (byte := bits.u(8)) == 255:
        size += byte
    size += byte
    return config, bits.u(8 * size).to_bytes(size)


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
