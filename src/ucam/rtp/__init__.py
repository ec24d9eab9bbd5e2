"""RTP: packets, RTCP, time lines, packetizers and depacketizers; plain objects without I/O.

Errors: `RTPError` (a `ValueError`) and below it
- `PacketError`: bytes that are no RTP or RTCP packet,
- `PayloadError`: a payload that its format does not allow.
"""

from ucam.rtp.errors import PacketError, PayloadError, RTPError

__all__ = ["PacketError", "PayloadError", "RTPError"]
