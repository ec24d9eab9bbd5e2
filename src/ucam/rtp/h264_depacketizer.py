"""RTP packets into H.264 access units (RFC 6184 §5.6, §5.7.1, §5.8)."""

from ucam.media import h264
from ucam.media.bits import BitReader, unescape
from ucam.rtp.errors import PayloadError
from ucam.rtp.nal_depacketizer import FU_END, FU_START, NalDepacketizer

_STAP_A, _FU_A = 24, 28
# What stands in the track, or says nothing to a player of files.
_LEFT_OUT = frozenset((h264.SPS, h264.PPS, h264.DELIMITER, 10, 11, h264.FILLER))


class H264Depacketizer(NalDepacketizer):
    """Packetization modes 0 and 1."""

    def _take_payload(self, packet: memoryview, start: int, end: int) -> None:
        kind = packet[start] & 0x1F
        if self._size + end - start > self._max_unit:
            self._refuse_size()
        if kind == _FU_A:
            if end - start < 3:
                raise PayloadError("an empty fragment")
            head = packet[start + 1]
            if head & FU_START:
                self._start_fragments(bytes((packet[start] & 0xE0 | head & 0x1F,)))
            self._take_fragment(packet[start + 2 : end])
            if head & FU_END:
                kind = head & 0x1F
                inside = 1 <= kind <= 23 and kind not in _LEFT_OUT
                if inside and kind <= h264.IDR:
                    self._saw_slice(kind == h264.IDR)
                self._end_fragments(inside)
        elif kind == _STAP_A:
            self._take_aggregate(packet, start + 1, end)
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
            self._saw_slice(kind == h264.IDR)
        self._keep(nal)

    def _set_key(self, nal: bytes) -> tuple[int, int]:
        kind = nal[0] & 0x1F if nal else 0
        if kind not in (h264.SPS, h264.PPS):
            raise PayloadError(f"a NAL unit of type {kind} where a parameter set should be")
        id_start = 4 if kind == h264.SPS else 1
        number = BitReader(unescape(nal[id_start : id_start + 8])).ue()
        if number > 255:
            raise PayloadError(f"a parameter set with id {number}")
        return kind, number

    def _sps_in_use(self, data: bytes) -> tuple[int, int] | None:
        """The slice's PPS (§7.3.3), and the SPS that it names (§7.3.2.2)."""
        for nal in h264.nals(data):
            if nal[0] & 0x1F <= h264.IDR:
                head = BitReader(unescape(bytes(nal[1:16])))
                head.ue()
                head.ue()
                pps = BitReader(unescape(self._sets.get((h264.PPS, head.ue()), b"")[1:16]))
                pps.ue()
                return h264.SPS, pps.ue()
        return None
