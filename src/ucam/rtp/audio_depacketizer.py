"""RTP packets into audio frames: what all formats share, and those of one frame a packet."""

from abc import ABC, abstractmethod
from collections import deque

from ucam.rtp.errors import PacketError, PayloadError
from ucam.rtp.packet import HEAD, capture_time_us, payload_bounds
from ucam.rtp.unit import Unit


class AudioDepacketizer(ABC):
    """Packets into frames: `push` each packet, `pull` until None.

    Each frame can be decoded alone: after a loss only what is missing is missing. `clock_rate`: of
    its time stamps. `max_frame`: bytes. `max_waiting`: frames that nobody pulls; beyond it the
    newest count as dropped. `description`: the configuration, if the format has one in the SDP.
    """

    def __init__(
        self,
        clock_rate: int,
        *,
        ntp64_id: int | None = None,
        config: bytes = b"",
        max_frame: int = 65_535,
        max_waiting: int = 1024,
    ) -> None:
        self.packets = 0
        self.lost_packets = 0
        self.malformed_packets = 0
        self.dropped_units = 0
        self._clock_rate = clock_rate
        self._ntp64_id = ntp64_id
        self.description: tuple[bytes, ...] = (config,)
        self._max_frame = max_frame
        self._max_waiting = max_waiting
        self._ready: deque[Unit] = deque()  # bounded by max_waiting
        self._expected = -1
        self._after_loss = False

    def push(self, packet: bytes | memoryview) -> None:
        """One RTP packet, without its interleaving head; never raises."""
        self.packets += 1
        try:
            if len(packet) < HEAD.size:
                raise PacketError("a packet without a whole head")
            first, second, sequence, timestamp, _ = HEAD.unpack_from(packet)
            extension, start, end = 0, 12, len(packet)
            if first != 0x80:
                extension, start, end = payload_bounds(packet)
            self._follow(sequence)
            capture = self._captured(packet, extension, start)
            if start < end:
                self._take(memoryview(packet)[start:end], timestamp, second >= 0x80, capture)
        except (PacketError, PayloadError):
            self.malformed_packets += 1
            self._lost()

    def pull(self) -> Unit | None:
        """The next whole frame, None if there is none yet."""
        return self._ready.popleft() if self._ready else None

    def flush(self) -> None:  # noqa: B027 - nothing is ever held back
        """The stream has ended; frames are whole as soon as they have come."""

    @abstractmethod
    def _take(self, payload: memoryview, timestamp: int, marker: bool, capture: int | None) -> None:
        """The payload of a packet, at least one byte; raises `PayloadError`."""

    def _lost(self) -> None:
        """Something is missing here."""
        self._after_loss = True

    def _follow(self, sequence: int) -> None:
        if self._expected >= 0 and sequence != self._expected:
            gap = (sequence - self._expected) & 0xFFFF
            self.lost_packets += gap if gap < 0x8000 else 1
            self._lost()
        self._expected = (sequence + 1) & 0xFFFF

    def _captured(self, packet: bytes | memoryview, extension: int, start: int) -> int | None:
        if not extension or self._ntp64_id is None:
            return None
        return capture_time_us(packet, extension, start, self._ntp64_id)

    def _give(
        self,
        data: bytes | memoryview,
        timestamp: int,
        capture: int | None,
        config: tuple[bytes, ...] | None = None,
    ) -> None:
        """A whole frame; `config`: the configuration, if it is another from here on."""
        if not data or len(data) > self._max_frame or len(self._ready) >= self._max_waiting:
            self.dropped_units += 1
            self._lost()
            return
        unit = Unit(
            data=bytes(data),
            rtp_timestamp=timestamp & 0xFFFFFFFF,
            keyframe=True,
            capture_utc_us=capture,
            parameter_sets=config,
            after_loss=self._after_loss,
        )
        self._ready.append(unit)
        self._after_loss = False


class OpusDepacketizer(AudioDepacketizer):
    """One Opus packet a packet (RFC 7587 §4.2)."""

    def _take(self, payload: memoryview, timestamp: int, marker: bool, capture: int | None) -> None:
        self._give(payload, timestamp, capture)


class PcmDepacketizer(OpusDepacketizer):
    """Samples of G.711, as many as came in a packet (RFC 3551 §4.5.14): told to nobody what they
    are, since they must be coded anew.
    """
