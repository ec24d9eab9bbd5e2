"""H.264 over RTP (RFC 6184, packetization modes 0 and 1)."""

from ucam.media.access_unit import AccessUnit
from ucam.rtp.unit import Unit


class H264Packetizer:
    """Access units into packets of at most `max_packet` bytes, header included.

    `ntp64_id`: the RFC 8285 id (1–14) of `urn:ietf:params:rtp-hdrext:ntp-64`; the first packet of
    each access unit then holds its capture time. `parameter_sets` stand before every keyframe
    that brings none of its own.
    """

    def __init__(
        self,
        payload_type: int,
        ssrc: int,
        *,
        max_packet: int = 60_000,
        ntp64_id: int | None = None,
        parameter_sets: tuple[bytes, ...] = (),
        first_sequence: int = 0,
    ) -> None:
        raise NotImplementedError

    def packetize(self, unit: AccessUnit, rtp_timestamp: int) -> list[bytes]:
        """The packets of one access unit, the marker on the last. `rtp_timestamp` is taken
        modulo 2³²; usually `unit.pts_90k`. Raises `BitstreamError` for malformed data.
        """
        raise NotImplementedError


class H264Depacketizer:
    """Packets into access units: `push` each packet, `pull` until None.

    `parameter_sets`: those of the SDP. `ntp64_id`: as in the SDP's extmap. After a loss, units
    are dropped until the next keyframe, and counted. Malformed packets count as lost: `push`
    never raises.
    """

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

    def push(self, packet: bytes | memoryview) -> None:
        """One RTP packet, without its interleaving head."""
        raise NotImplementedError

    def pull(self) -> Unit | None:
        """The next whole access unit in decode order, None if there is none yet."""
        raise NotImplementedError

    def flush(self) -> None:
        """The stream has ended: the unit begun is whole (the last may lack its marker)."""
        raise NotImplementedError
