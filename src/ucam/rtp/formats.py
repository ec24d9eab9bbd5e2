"""Which payload formats can be taken apart, by their name in the SDP's rtpmap."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ucam.rtp.h264_depacketizer import H264Depacketizer
from ucam.rtp.unit import Unit


class Depacketizer(Protocol):
    """Packets of one payload format into access units."""

    packets: int
    lost_packets: int
    malformed_packets: int
    dropped_units: int

    def push(self, packet: bytes | memoryview) -> None:
        """One RTP packet; never raises."""

    def pull(self) -> Unit | None:
        """The next whole access unit, None if there is none yet."""

    def flush(self) -> None:
        """The stream has ended: the unit begun comes if it can be whole."""


Factory = Callable[[tuple[bytes, ...], int | None], Depacketizer]


def _h264(parameter_sets: tuple[bytes, ...], ntp64_id: int | None) -> Depacketizer:
    return H264Depacketizer(parameter_sets=parameter_sets, ntp64_id=ntp64_id)


FORMATS: Mapping[str, Factory] = {"H264": _h264}


def depacketizer(
    encoding: str, parameter_sets: tuple[bytes, ...], ntp64_id: int | None
) -> Depacketizer | None:
    """A depacketizer for an rtpmap's encoding name ("H264"), None if there is none."""
    factory = FORMATS.get(encoding.upper())
    return factory(parameter_sets, ntp64_id) if factory is not None else None
