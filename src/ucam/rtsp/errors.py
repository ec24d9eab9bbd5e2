"""The one exception tree of `ucam.rtsp`."""


class RTSPError(ValueError):
    """Something an RTSP peer did wrong; `status` is what to answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class MessageError(RTSPError):
    """Bytes that are no RTSP message, or too large a one. The connection cannot go on."""


class SDPError(RTSPError):
    """A session description that cannot be read."""


class UsageError(RTSPError):
    """The owner of a connection asked for something out of order: a bug, no peer's fault."""
