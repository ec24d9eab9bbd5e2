"""The packetizer of a track."""

from ucam.media.track import Track, VideoTrack
from ucam.rtp.errors import PayloadError
from ucam.rtp.h264_packetizer import H264Packetizer
from ucam.rtp.h265_packetizer import H265Packetizer
from ucam.rtp.packetizer import OpusPacketizer, Packetizer


def packetizer(
    track: Track,
    payload_type: int,
    ssrc: int,
    *,
    max_packet: int = 60_000,
    ntp64_id: int | None = None,
    first_sequence: int = 0,
) -> Packetizer:
    """One for a track of H.264, H.265 or Opus; raises `PayloadError` for other ones, too."""
    if isinstance(track, VideoTrack):
        make = H264Packetizer if track.codec == "h264" else H265Packetizer
        return make(
            payload_type,
            ssrc,
            max_packet=max_packet,
            ntp64_id=ntp64_id,
            parameter_sets=track.parameter_sets,
            first_sequence=first_sequence,
        )
    if track.codec != "opus":
        raise PayloadError(f"{track.codec} can't be sent")
    return OpusPacketizer(
        payload_type, ssrc, max_packet=max_packet, ntp64_id=ntp64_id, first_sequence=first_sequence
    )
