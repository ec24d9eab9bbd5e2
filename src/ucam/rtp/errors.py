"""The one exception tree of `ucam.rtp`."""


class RTPError(ValueError):
    """RTP or RTCP that is not what it should be; the message says what."""


class PacketError(RTPError):
    """Bytes that are no RTP or RTCP packet."""


class PayloadError(RTPError):
    """A payload that its format does not allow."""
