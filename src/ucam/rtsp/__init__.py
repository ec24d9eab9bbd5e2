"""RTSP 1.0 (RFC 2326) and SDP: parser, session states, server and client; without I/O.

Errors: `RTSPError` (a `ValueError`, with the `status` to answer) and below it
- `MessageError`: bytes that are no RTSP message, or too large a one,
- `SDPError`: a session description that cannot be read,
- `UsageError`: the owner of a connection asked for something out of order (a bug, no peer's fault).
"""

from ucam.rtsp.errors import MessageError, RTSPError, SDPError, UsageError

__all__ = ["MessageError", "RTSPError", "SDPError", "UsageError"]
