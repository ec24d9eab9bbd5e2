"""H.265 access units into RTP packets (RFC 7798 §4.4.1 to §4.4.3), without DONL."""

from collections.abc import Sequence

from ucam.media import h265
from ucam.rtp.packetizer import FU_END, FU_START, NalPacketizer, Payload, with_length

AP, FU = 48, 49


class H265Packetizer(NalPacketizer):
    """Single NAL unit packets, an aggregation packet for what precedes the first slice,
    fragmentation units for what is long.
    """

    SPS, LAST_SLICE, LEAST_BYTES = h265.SPS, h265.LAST_SLICE, 3

    def _kind(self, nal: bytes | memoryview) -> int:
        return h265.nal_type(nal)

    def _aggregate(self, nals: Sequence[bytes | memoryview]) -> Payload:
        # §4.4.2: layer and temporal id are the lowest of them.
        layer = min((nal[0] & 1) << 5 | nal[1] >> 3 for nal in nals)
        temporal = min(nal[1] & 7 for nal in nals)
        head = bytes((AP << 1 | layer >> 5, (layer & 31) << 3 | temporal))
        parts: list[bytes | memoryview] = [head]
        for nal in nals:
            parts += with_length(nal)
        return tuple(parts)

    def _fragments(self, nal: bytes | memoryview, first_room: int, room: int) -> list[Payload]:
        view = memoryview(nal)
        head, kind = bytes((view[0] & 0x81 | FU << 1, view[1])), h265.nal_type(view)
        found: list[Payload] = []
        position, size, flags = 2, first_room - 3, FU_START
        while position < len(view):
            end = min(position + size, len(view))
            if end == len(view):
                flags |= FU_END
            found.append((head, bytes((flags | kind,)), view[position:end]))
            position, size, flags = end, room - 3, 0
        return found
