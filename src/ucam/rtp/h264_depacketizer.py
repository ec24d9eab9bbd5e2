"""RTP packets into H.264 access units (RFC 6184 §5.6, §5.7.1, §5.8)."""

import struct
from collections import deque
from contextlib import suppress

from ucam.media import h264
from ucam.media.bits import BitReader, unescape
from ucam.media.clock import from_ntp64
from ucam.media.errors import BitstreamError
from ucam.rtp.errors import PacketError, PayloadError
from ucam.rtp.packet import HEAD, extension_elements, payload_bounds
from ucam.rtp.unit import Unit

_STAP_A, _FU_A = 24, 28
_FU_START, _FU_END = 0x80, 0x40
_LENGTH = struct.Struct(">I")
_MAX_SET = 4096
# What stands in the track, or says nothing to a player of files.
_LEFT_OUT = frozenset((h264.SPS, h264.PPS, h264.DELIMITER, 10, 11, h264.FILLER))


class H264Depacketizer:
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
            self._finish()
            self._begin(timestamp)
            self._whole = not jumped  # its first packets may be among the lost
        if extension and self._ntp64_id is not None and self._capture is None:
            stamp = extension_elements(packet, extension, start).get(self._ntp64_id, b"")
            self._capture = from_ntp64(int.from_bytes(stamp)) if len(stamp) == 8 else None
        try:
            self._take_payload(memoryview(packet), start, end)
        except PayloadError:
            self.malformed_packets += 1
            self._break()
        if second >= 0x80:
            self._marked = True
            self._finish()
            self._begin(-1)

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

    def _take_payload(self, packet: memoryview, start: int, end: int) -> None:
        if start == end:
            return  # keep-alive packets of some senders
        if self._size + end - start > self._max_unit:
            self._parts.clear()
            raise PayloadError(f"an access unit of more than {self._max_unit} bytes")
        kind = packet[start] & 0x1F
        if kind == _FU_A:
            self._take_fragment(packet, start, end)
        elif kind == _STAP_A:
            position = start + 1
            while position < end:
                nal_start = position + 2
                if nal_start < end:
                    position = nal_start + (packet[position] << 8 | packet[position + 1])
                if position > end or position <= nal_start:
                    raise PayloadError("a STAP-A with a wrong length")
                self._take_nal(packet[nal_start:position])
        else:
            self._take_nal(packet[start:end])

    def _take_nal(self, nal: memoryview) -> None:
        kind = nal[0] & 0x1F
        if self._fragment >= 0:
            raise PayloadError("a fragmented NAL unit without its end")
        if not 1 <= kind <= 23:
            raise PayloadError(f"type {kind} is not of packetization mode 0 or 1")
        if kind in _LEFT_OUT:
            if kind in (h264.SPS, h264.PPS):
                self._take_set(bytes(nal))
            return
        if kind <= h264.IDR:
            self._has_slice = True
            self._keyframe = self._keyframe or kind == h264.IDR
        self._parts += (_LENGTH.pack(len(nal)), nal)
        self._size += 4 + len(nal)

    def _take_fragment(self, packet: memoryview, start: int, end: int) -> None:
        if end - start < 3:
            raise PayloadError("an empty fragment")
        head = packet[start + 1]
        if head & _FU_START:
            if self._fragment >= 0:
                raise PayloadError("a fragmented NAL unit without its end")
            self._fragment, self._fragment_size = len(self._parts), 1
            self._parts += (b"", bytes((packet[start] & 0xE0 | head & 0x1F,)))
        elif self._fragment < 0:
            raise PayloadError("a fragment of a NAL unit without its start")
        self._parts.append(packet[start + 2 : end])
        self._fragment_size += end - start - 2
        self._size += end - start
        if head & _FU_END:
            kind, place, self._fragment = head & 0x1F, self._fragment, -1
            if kind in _LEFT_OUT or not 1 <= kind <= 23:
                nal = b"".join(self._parts[place:])
                del self._parts[place:]
                self._take_nal(memoryview(nal))
                return
            self._parts[place] = _LENGTH.pack(self._fragment_size)
            if kind <= h264.IDR:
                self._has_slice = True
                self._keyframe = self._keyframe or kind == h264.IDR

    def _take_set(self, nal: bytes) -> None:
        """A parameter set: it replaces the one of its kind and id."""
        if nal in self._in_force:
            return
        kind = nal[0] & 0x1F if nal else 0
        if kind not in (h264.SPS, h264.PPS):
            raise PayloadError(f"a NAL unit of type {kind} where a parameter set should be")
        id_start = 4 if kind == h264.SPS else 1
        try:
            number = BitReader(unescape(nal[id_start : id_start + 8])).ue()
        except BitstreamError as error:
            raise PayloadError("a parameter set without its id") from error
        if number > 255 or len(nal) > _MAX_SET:
            raise PayloadError(f"a parameter set of {len(nal)} bytes with id {number}")
        self._sets[kind, number] = nal
        self._in_force = frozenset(self._sets.values())
        self._sets_changed = True

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
        sets = self._sets_changed and tuple(self._sets[key] for key in sorted(self._sets))
        unit = Unit(
            data=b"".join(self._parts),
            rtp_timestamp=self._timestamp,
            keyframe=self._keyframe,
            capture_utc_us=self._capture,
            parameter_sets=sets or None,
            after_loss=self._after_loss,
        )
        self._ready.append(unit)
        self._needs_keyframe = self._after_loss = self._sets_changed = False
