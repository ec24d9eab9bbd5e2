"""Which payload formats can be taken apart, by their name in the SDP's rtpmap."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ucam.media.aac import SPEECH
from ucam.media.track import AudioTrack, Track, VideoTrack
from ucam.rtp.audio_depacketizer import OpusDepacketizer, PcmDepacketizer
from ucam.rtp.h264_depacketizer import H264Depacketizer
from ucam.rtp.h265_depacketizer import H265Depacketizer
from ucam.rtp.mpeg4_depacketizer import AacDepacketizer, LatmDepacketizer
from ucam.rtp.unit import Unit


class Depacketizer(Protocol):
    """Packets of one payload format into access units. `description`: the parameter sets, or what
    a format has in their place, that the SDP told; units bring what changes.
    """

    description: tuple[bytes, ...]
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


@dataclass(frozen=True, slots=True)
class Described:
    """What the SDP says of a stream. `parameters`: its fmtp, names in lower case."""

    parameter_sets: tuple[bytes, ...] = ()
    ntp64_id: int | None = None
    clock_rate: int = 90_000
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)


class Format(NamedTuple):
    """One payload format. `describe`: the track of a unit's `parameter_sets`, or for G.711 what it
    becomes when it is coded anew; raises `MediaError`.
    """

    depacketizer: Callable[[Described], Depacketizer]
    describe: Callable[[tuple[bytes, ...]], Track]


def _h264(sdp: Described) -> Depacketizer:
    return H264Depacketizer(parameter_sets=sdp.parameter_sets, ntp64_id=sdp.ntp64_id)


def _h265(sdp: Described) -> Depacketizer:
    return H265Depacketizer(parameter_sets=sdp.parameter_sets, ntp64_id=sdp.ntp64_id)


def _aac(sdp: Described) -> Depacketizer:
    return AacDepacketizer(sdp.parameters, sdp.clock_rate, ntp64_id=sdp.ntp64_id)


def _latm(sdp: Described) -> Depacketizer:
    return LatmDepacketizer(sdp.parameters, sdp.clock_rate, ntp64_id=sdp.ntp64_id)


def _opus(sdp: Described) -> Depacketizer:
    return OpusDepacketizer(sdp.clock_rate, ntp64_id=sdp.ntp64_id)


def _pcm(sdp: Described) -> Depacketizer:
    return PcmDepacketizer(sdp.clock_rate, ntp64_id=sdp.ntp64_id)


FORMATS: Mapping[str, Format] = {
    "H264": Format(_h264, VideoTrack.h264),
    "H265": Format(_h265, VideoTrack.h265),
    "MPEG4-GENERIC": Format(_aac, lambda sets: AudioTrack.aac(sets[0])),
    "MP4A-LATM": Format(_latm, lambda sets: AudioTrack.aac(sets[0])),
    "OPUS": Format(_opus, lambda _: AudioTrack.opus()),
    "PCMU": Format(_pcm, lambda _: AudioTrack.aac(SPEECH)),
    "PCMA": Format(_pcm, lambda _: AudioTrack.aac(SPEECH)),
}


def depacketizer(
    encoding: str,
    parameter_sets: tuple[bytes, ...],
    ntp64_id: int | None,
    *,
    clock_rate: int = 90_000,
    channels: int = 1,
    parameters: Mapping[str, str] | None = None,
) -> Depacketizer | None:
    """A depacketizer for an rtpmap's encoding name ("H264"), None if there is none, or if the
    SDP's parameters (of audio) are none that its format allows.
    """
    found = FORMATS.get(encoding.upper())
    described = Described(parameter_sets, ntp64_id, clock_rate, channels, parameters or {})
    return found.depacketizer(described) if found is not None else None
