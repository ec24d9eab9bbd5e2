"""H.264 over RTP (RFC 6184, packetization modes 0 and 1)."""

from ucam.rtp.h264_depacketizer import H264Depacketizer
from ucam.rtp.h264_packetizer import H264Packetizer

__all__ = ["H264Depacketizer", "H264Packetizer"]
