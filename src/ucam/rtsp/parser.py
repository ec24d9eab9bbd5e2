"""Bytes into RTSP messages and interleaved packets, wherever the bytes are split."""

from ucam.rtsp.messages import Message


class Parser:
    """Feed it what the connection brings; it keeps at most a head, a body or a packet."""

    def __init__(self, *, max_head: int = 16_384, max_body: int = 65_536) -> None:
        raise NotImplementedError

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """What is now whole. `bytes` are not copied; others are. Raises `MessageError` (after
        which it must not be fed again); what was whole before the error is lost with it.
        """
        raise NotImplementedError
