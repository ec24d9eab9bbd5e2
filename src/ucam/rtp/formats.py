"""Which payload formats can be taken apart, by their name in the SDP's rtpmap."""

from typing import Protocol

from ucam.rtp.unit import Unit


class Depacketizer(Protocol):
    """Packets of one payload format into access units."""

    packets: int
    lost_packets: int
    malformed_packets: int
    dropped_units: int

    def push(self, packet: bytes | memoryview) -> None:
        """One RTP packet."""

    def pull(self) -> Unit | None:
        """The next whole access unit, None if there is none yet."""

    def flush(self) -> None:
        """The stream has ended."""


def depacketizer(
    encoding: str, parameter_sets: tuple[bytes, ...], ntp64_id: int | None
) -> Depacketizer | None:
    """A depacketizer for an rtpmap's encoding name ("H264"), None if there is none."""
    raise NotImplementedError
