"""What the depacketizers of H.264 and H.265 have in common: packets, losses, units, sets."""

import struct
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress

from ucam.media.errors import BitstreamError
from ucam.rtp.errors import PacketError, PayloadError
from ucam.rtp.packet import HEAD, capture_time_us, payload_bounds
from ucam.rtp.unit import Unit

FU_START, FU_END = 0x80, 0x40
_LENGTH = struct.Struct(">I")
_MAX_SET = 4096


class NalDepacketizer(ABC):
    """Packets into access units: `push` each packet, `pull` until None.

    `parameter_sets`: those of the SDP; broken ones are passed over. `ntp64_id`: as in the SDP's
    extmap. After a loss, units are dropped until the next keyframe, and counted; a stream may
    begin without one. Malformed packets count as lost: `push` never raises. `max_unit`: bytes of
    one access unit. `max_waiting`: units that nobody pulls; beyond it they count as lost.

    A marker or another time stamp ends a unit (§5.1): some cameras never set the marker.
    Nothing is copied until the unit is whole; then it is joined once.
    """

    # The access unit begun: its NAL units and their lengths, in the order of `Unit.data`.
    _timestamp: int  # −1: none is begun
    _parts: list[bytes | memoryview]
    _size: int
    _fragment: int  # where the length of the NAL unit that comes in fragments stands; −1: none
    _fragment_size: int
    _keyframe: bool
    _has_slice: bool
    _capture: int | None
    _whole: bool

    def __init__(
        self,
        *,
        parameter_sets: tuple[bytes, ...] = (),
        ntp64_id: int | None = None,
        max_unit: int = 16 << 20,
        max_waiting: int = 256,
    ) -> None:
        self.packets = 0
        self.lost_packets = 0
        self.malformed_packets = 0
        self.dropped_units = 0
        self.description = parameter_sets
        self._ntp64_id = ntp64_id
        self._max_unit = max_unit
        self._max_waiting = max_waiting
        self._ready: deque[Unit] = deque()  # bounded by max_waiting
        self._sets: dict[tuple[int, int], bytes] = {}
        self._in_force: frozenset[bytes] = frozenset()
        self._sets_changed = False
        self._expected = -1
        self._needs_keyframe = False
        self._after_loss = False
        self._marked = False
        self._begin(-1)
        for nal in parameter_sets:
            with suppress(PayloadError):  # what an SDP has wrong may come right in the stream
                self._take_set(nal)

    def push(self, packet: bytes | memoryview) -> None:
        """One RTP packet, without its interleaving head."""
        self.packets += 1
        try:
            if len(packet) < HEAD.size:
                raise PacketError("a packet without a whole head")
            first, second, sequence, timestamp, _ = HEAD.unpack_from(packet)
            extension, start, end = 0, 12, len(packet)
            if first != 0x80:
                extension, start, end = payload_bounds(packet)
        except PacketError:
            self.malformed_packets += 1
            self._break()
            return
        jumped = sequence != self._expected and self._jump(sequence)
        self._expected = (sequence + 1) & 0xFFFF
        if timestamp != self._timestamp:
            if self._timestamp >= 0:
                self._finish()
            self._begin(timestamp)
            self._whole = not jumped  # its first packets may be among the lost
        if extension and self._ntp64_id is not None and self._capture is None:
            self._capture = capture_time_us(packet, extension, start, self._ntp64_id)
        try:
            if start < end:  # some senders keep connections alive with empty packets
                self._take_payload(memoryview(packet), start, end)
        except PayloadError:
            self.malformed_packets += 1
            self._break()
        if second >= 0x80:
            self._marked = True
            self._finish()
            self._timestamp, self._parts = -1, []

    def pull(self) -> Unit | None:
        """The next whole access unit in decode order, None if there is none yet."""
        return self._ready.popleft() if self._ready else None

    def flush(self) -> None:
        """The stream has ended. A unit begun counts as whole where no unit ever had a marker;
        otherwise its end was cut off, and what has come of it is dropped.
        """
        if self._marked:
            self._break()
        self._finish()
        self._begin(-1)

    def _begin(self, timestamp: int) -> None:
        """An access unit that has nothing yet."""
        self._timestamp = timestamp
        self._parts = []
        self._size = 0
        self._fragment = -1
        self._fragment_size = 0
        self._keyframe = False
        self._has_slice = False
        self._capture = None
        self._whole = True

    def _jump(self, sequence: int) -> bool:
        """A sequence number that is not the next one; false for the very first."""
        if self._expected < 0:
            return False
        gap = (sequence - self._expected) & 0xFFFF
        # Backwards there is no order to restore over TCP: the sender has begun anew.
        self.lost_packets += gap if gap < 0x8000 else 1
        self._break()
        return True

    def _break(self) -> None:
        """The unit begun is not whole; nothing is of use before the next keyframe."""
        self._whole = False
        self._needs_keyframe = self._after_loss = True

    @abstractmethod
    def _take_payload(self, packet: memoryview, start: int, end: int) -> None:
        """The payload of a packet, at least one byte; raises `PayloadError`."""

    @abstractmethod
    def _take_nal(self, nal: memoryview) -> None:
        """A whole NAL unit; raises `PayloadError`."""

    @abstractmethod
    def _set_key(self, nal: bytes) -> tuple[int, int]:
        """Kind and id of a parameter set; raises `PayloadError` or `BitstreamError`."""

    @abstractmethod
    def _sps_in_use(self, data: bytes) -> tuple[int, int] | None:
        """Which SPS a keyframe refers to; may raise `BitstreamError`."""

    def _refuse_size(self) -> None:
        self._parts.clear()
        raise PayloadError(f"an access unit of more than {self._max_unit} bytes")

    def _keep(self, nal: memoryview) -> None:
        """A NAL unit that belongs into the access unit."""
        self._parts += (_LENGTH.pack(len(nal)), nal)
        self._size += 4 + len(nal)

    def _saw_slice(self, keyframe: bool) -> None:
        self._has_slice = True
        self._keyframe = self._keyframe or keyframe

    def _take_aggregate(self, packet: memoryview, position: int, end: int) -> None:
        """NAL units, each behind its length in two bytes."""
        while position < end:
            nal_start = position + 2
            if nal_start < end:
                position = nal_start + (packet[position] << 8 | packet[position + 1])
            if position > end or position <= nal_start:
                raise PayloadError("an aggregation packet with a wrong length")
            self._take_nal(packet[nal_start:position])

    def _start_fragments(self, header: bytes) -> None:
        """A NAL unit with this header comes in fragments."""
        if self._fragment >= 0:
            raise PayloadError("a fragmented NAL unit without its end")
        self._fragment, self._fragment_size = len(self._parts), len(header)
        self._parts += (b"", header)

    def _take_fragment(self, fragment: memoryview) -> None:
        if self._fragment < 0:
            raise PayloadError("a fragment of a NAL unit without its start")
        self._parts.append(fragment)
        self._fragment_size += len(fragment)
        self._size += 2 + len(fragment)

    def _end_fragments(self, in_unit: bool) -> None:
        """The fragmented NAL unit is whole. `in_unit`: it is a picture's, nothing to look into."""
        place, self._fragment = self._fragment, -1
        if in_unit:
            self._parts[place] = _LENGTH.pack(self._fragment_size)
            return
        nal = b"".join(self._parts[place:])
        del self._parts[place:]
        self._take_nal(memoryview(nal))

    def _take_set(self, nal: bytes) -> None:
        """A parameter set: it replaces the one of its kind and id."""
        if nal in self._in_force:
            return
        if len(nal) > _MAX_SET:
            raise PayloadError(f"a parameter set of {len(nal)} bytes")
        try:
            key = self._set_key(nal)
        except BitstreamError as error:
            raise PayloadError("a parameter set without its id") from error
        self._sets[key] = nal
        self._in_force = frozenset(self._sets.values())
        self._sets_changed = True

    def _changed_sets(self, data: bytes) -> tuple[bytes, ...] | None:
        """All sets when some changed, the SPS that this keyframe goes by before other SPS."""
        if not self._sets_changed:
            return None
        in_use = None
        if self._keyframe:
            with suppress(BitstreamError):
                in_use = self._sps_in_use(data)
        keys = sorted(self._sets, key=lambda key: (key[0], key != in_use, key[1]))
        return tuple(self._sets[key] for key in keys)

    def _finish(self) -> None:
        """The unit begun is at its end: keep or drop it."""
        if self._timestamp < 0 or (self._whole and not self._has_slice and self._fragment < 0):
            return
        if self._fragment >= 0:
            self._break()
        if len(self._ready) >= self._max_waiting:
            self._break()
        if not self._whole or (self._needs_keyframe and not self._keyframe):
            self.dropped_units += 1
            self._after_loss = True
            return
        data = b"".join(self._parts)
        unit = Unit(
            data=data,
            rtp_timestamp=self._timestamp,
            keyframe=self._keyframe,
            capture_utc_us=self._capture,
            parameter_sets=self._changed_sets(data),
            after_loss=self._after_loss,
        )
        self._ready.append(unit)
        self._needs_keyframe = self._after_loss = self._sets_changed = False
