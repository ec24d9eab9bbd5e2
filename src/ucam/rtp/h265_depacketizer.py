"""RTP packets into H.265 access units (RFC 7798 §4.4)."""

from ucam.media import h264, h265
from ucam.media.bits import BitReader, unescape
from ucam.rtp.errors import PayloadError
from ucam.rtp.nal_depacketizer import FU_END, FU_START, NalDepacketizer

_AP, _FU = 48, 49
_SETS = (h265.VPS, h265.SPS, h265.PPS)
_LEFT_OUT = frozenset(
    (*_SETS, h265.DELIMITER, h265.FILLER, h265.END_OF_SEQUENCE, h265.END_OF_STREAM)
)


class H265Depacketizer(NalDepacketizer):
    """Single NAL unit, aggregation and fragmentation packets in decoding order, without DONL
    (sprop-max-don-diff of 0, as all known senders over TCP have it).
    """

    def _take_payload(self, packet: memoryview, start: int, end: int) -> None:
        if end - start < 3:
            raise PayloadError("a payload without a NAL unit")
        kind = packet[start] >> 1 & 0x3F
        if self._size + end - start > self._max_unit:
            self._refuse_size()
        if kind == _FU:
            if end - start < 4:
                raise PayloadError("an empty fragment")
            head = packet[start + 2]
            if head & FU_START:
                first = packet[start] & 0x81 | (head & 0x3F) << 1
                self._start_fragments(bytes((first, packet[start + 1])))
            self._take_fragment(packet[start + 3 : end])
            if head & FU_END:
                kind = head & 0x3F
                inside = kind < _AP and kind not in _LEFT_OUT
                if inside and kind <= h265.LAST_SLICE:
                    self._saw_slice(_is_key(kind))
                self._end_fragments(inside)
        elif kind == _AP:
            self._take_aggregate(packet, start + 2, end)
        else:
            self._take_nal(packet[start:end])

    def _take_nal(self, nal: memoryview) -> None:
        kind = nal[0] >> 1 & 0x3F
        if self._fragment >= 0:
            raise PayloadError("a fragmented NAL unit without its end")
        if kind >= _AP or len(nal) < 3:
            raise PayloadError(f"a NAL unit of type {kind} and {len(nal)} bytes")
        if kind in _LEFT_OUT:
            if kind in _SETS:
                self._take_set(bytes(nal))
            return
        if kind <= h265.LAST_SLICE:
            self._saw_slice(_is_key(kind))
        self._keep(nal)

    def _set_key(self, nal: bytes) -> tuple[int, int]:
        if len(nal) < 3 or (kind := h265.nal_type(nal)) not in _SETS:
            raise PayloadError(f"{nal[:2].hex()} begins no parameter set of H.265")
        return kind, h265.set_id(nal)

    def _sps_in_use(self, data: bytes) -> tuple[int, int] | None:
        """The slice's PPS (H.265 §7.3.6.1), and the SPS that it names (§7.3.2.3)."""
        for nal in h264.nals(data):
            if _is_key(h265.nal_type(nal)):
                head = BitReader(unescape(bytes(nal[2:16])))
                head.u(2)
                pps = BitReader(unescape(self._sets.get((h265.PPS, head.ue()), b"")[2:16]))
                pps.ue()
                return h265.SPS, pps.ue()
        return None


def _is_key(kind: int) -> bool:
    """Whether a slice of this type belongs to a picture at which decoding may start."""
    return h265.FIRST_IRAP <= kind <= h265.LAST_IRAP
