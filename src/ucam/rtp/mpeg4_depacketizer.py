"""RTP packets into AAC frames: mpeg4-generic (RFC 3640) and MP4A-LATM (RFC 6416)."""

from collections.abc import Mapping

from ucam.media import MediaError
from ucam.media.aac import (
    parse_audio_config,
    parse_audio_mux_element,
    parse_stream_mux_config,
)
from ucam.media.bits import BitReader
from ucam.rtp.audio_depacketizer import AudioDepacketizer
from ucam.rtp.errors import PayloadError

_MOST_FRAMES = 512


def _hex(parameters: Mapping[str, str], name: str) -> bytes:
    try:
        return bytes.fromhex(parameters.get(name, "").strip('"'))
    except ValueError:
        return b""


def _number(parameters: Mapping[str, str], name: str) -> int:
    text = parameters.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def _frame_ticks(config: bytes, clock_rate: int) -> int:
    """How far the time stamps of two frames are apart; 0 when the configuration can't be read."""
    try:
        found = parse_audio_config(config)
    except MediaError:
        return 0
    return found.frame_samples * clock_rate // found.sample_rate


class AacDepacketizer(AudioDepacketizer):
    """AAC by RFC 3640: several frames a packet, each after the other in time, or one frame in
    several packets (§3.2). `parameters`: the fmtp; its `config` becomes the track's.

    Interleaved frames (§3.2.3.2) are taken in the order in which they stand.
    """

    def __init__(
        self, parameters: Mapping[str, str], clock_rate: int, *, ntp64_id: int | None = None
    ) -> None:
        config = _hex(parameters, "config")
        super().__init__(clock_rate, ntp64_id=ntp64_id, config=config)
        self._size_bits = _number(parameters, "sizelength")
        self._index_bits = _number(parameters, "indexlength")
        self._delta_bits = _number(parameters, "indexdeltalength")
        self._frame_ticks = _frame_ticks(config, clock_rate)
        self._part = bytearray()  # of a frame that is longer than a packet; bounded by max_frame
        self._part_timestamp = -1

    def _take(self, payload: memoryview, timestamp: int, marker: bool, capture: int | None) -> None:
        if not self._size_bits:
            self._give(payload, timestamp, capture)
            return
        sizes, position = self._sizes(payload)
        if len(sizes) == 1 and sizes[0] > len(payload) - position:
            self._take_part(payload[position:], sizes[0], timestamp, capture)
            return
        self._part.clear()
        if sum(sizes) > len(payload) - position:
            raise PayloadError(f"{len(sizes)} frames of {sum(sizes)} bytes in {len(payload)}")
        for index, size in enumerate(sizes):
            frame = payload[position : position + size]
            self._give(frame, timestamp + index * self._frame_ticks, None if index else capture)
            position += size

    def _sizes(self, payload: memoryview) -> tuple[list[int], int]:
        """The frames' sizes (§3.2.1), and where the first begins."""
        if len(payload) < 2:
            raise PayloadError("no AU header section")
        length = payload[0] << 8 | payload[1]
        start = 2 + (length + 7) // 8
        if start > len(payload) or not length:
            raise PayloadError(f"an AU header section of {length} bits")
        bits = BitReader(bytes(payload[2:start]))
        sizes: list[int] = []
        used = 0
        while used + self._size_bits <= length and len(sizes) < _MOST_FRAMES:
            sizes.append(bits.u(self._size_bits))
            index_bits = self._delta_bits if len(sizes) > 1 else self._index_bits
            used += self._size_bits + index_bits
            if used > length:
                break
            bits.u(index_bits)
        return sizes, start

    def _take_part(
        self, payload: memoryview, size: int, timestamp: int, capture: int | None
    ) -> None:
        if timestamp != self._part_timestamp:
            self._part.clear()
            self._part_timestamp = timestamp
        self._part += payload
        if len(self._part) > min(size, self._max_frame):
            self._part.clear()
            raise PayloadError(f"more than the {size} bytes of a frame in parts")
        if len(self._part) == size:
            self._give(bytes(self._part), timestamp, capture)
            self._part.clear()

    def _lost(self) -> None:
        super()._lost()
        self._part.clear()
        self._part_timestamp = -1


class LatmDepacketizer(AudioDepacketizer):
    """AAC by RFC 6416 §6, one frame an element. An element ends with a marker.

    The configuration is in the SDP, or, unless that says `cpresent=0`, in the elements: then what
    the SDP says holds until an element says another, and elements before the first are dropped.
    """

    def __init__(
        self, parameters: Mapping[str, str], clock_rate: int, *, ntp64_id: int | None = None
    ) -> None:
        try:
            config = parse_stream_mux_config(_hex(parameters, "config"))
        except MediaError:
            config = b""
        super().__init__(clock_rate, ntp64_id=ntp64_id, config=config)
        self._in_band = parameters.get("cpresent", "1") != "0"
        self._config = config
        self._frame_ticks = _frame_ticks(config, clock_rate)
        self._element = bytearray()  # bounded by max_frame
        self._timestamp = -1
        self._whole = True

    def _take(self, payload: memoryview, timestamp: int, marker: bool, capture: int | None) -> None:
        if timestamp != self._timestamp:
            self._element.clear()
            self._timestamp, self._whole = timestamp, not self._after_loss or not self._element
        self._element += payload
        if len(self._element) > self._max_frame:
            self._element.clear()
            raise PayloadError(f"an element of more than {self._max_frame} bytes")
        if marker:
            element = bytes(self._element)
            self._element.clear()
            self._timestamp = -1
            if self._in_band:
                self._configured(element, timestamp, capture)
            else:
                self._frames(memoryview(element), timestamp, capture)

    def _configured(self, element: bytes, timestamp: int, capture: int | None) -> None:
        """A frame behind the configuration that it may bring (ISO/IEC 14496-3 §1.7.3.1)."""
        try:
            config, frame = parse_audio_mux_element(element, self._config)
        except MediaError as error:
            raise PayloadError(str(error)) from error
        told = (config,) if config != self._config else None
        self._config = config
        self._give(frame, timestamp, capture, told)

    def _frames(self, element: memoryview, timestamp: int, capture: int | None) -> None:
        """The frames of an element, or of several one after the other (§6.3), each behind its
        length (ISO/IEC 14496-3 §1.7.3.1): 255 … and a last byte below 255, added up.
        """
        position = index = 0
        while position < len(element) and index < _MOST_FRAMES:
            size = 0
            while True:
                if position == len(element):
                    raise PayloadError("an element that ends inside a length")
                byte = element[position]
                position, size = position + 1, size + byte
                if byte != 255:
                    break
            if position + size > len(element):
                raise PayloadError(f"a frame of {size} bytes in an element of {len(element)}")
            frame = element[position : position + size]
            self._give(frame, timestamp + index * self._frame_ticks, None if index else capture)
            position, index = position + size, index + 1

    def _lost(self) -> None:
        super()._lost()
        self._element.clear()
        self._timestamp = -1
