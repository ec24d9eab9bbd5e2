"""H.264 access units into RTP packets (RFC 6184 §5.6, §5.7.1, §5.8)."""

from collections.abc import Sequence

from ucam.media import h264
from ucam.rtp.packetizer import FU_END, FU_START, NalPacketizer, Payload, with_length

STAP_A, FU_A = 24, 28


class H264Packetizer(NalPacketizer):
    """Single NAL unit packets, STAP-A for what precedes the first slice, FU-A for what is long."""

    SPS, LAST_SLICE, LEAST_BYTES = h264.SPS, h264.IDR, 1

    def _kind(self, nal: bytes | memoryview) -> int:
        return nal[0] & 0x1F

    def _aggregate(self, nals: Sequence[bytes | memoryview]) -> Payload:
        importance = max(nal[0] & 0x60 for nal in nals)  # §5.7.1: NRI is the highest of them
        parts: list[bytes | memoryview] = [bytes((importance | STAP_A,))]
        for nal in nals:
            parts += with_length(nal)
        return tuple(parts)

    def _fragments(self, nal: bytes | memoryview, first_room: int, room: int) -> list[Payload]:
        view = memoryview(nal)
        indicator, kind = view[0] & 0xE0 | FU_A, view[0] & 0x1F
        found: list[Payload] = []
        position, size, flags = 1, first_room - 2, FU_START
        while position < len(view):
            end = min(position + size, len(view))
            if end == len(view):
                flags |= FU_END
            found.append((bytes((indicator, flags | kind)), view[position:end]))
            position, size, flags = end, room - 2, 0
        return found
