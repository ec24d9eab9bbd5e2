"""Bytes into RTSP messages and interleaved packets, wherever the bytes are split."""

import re

from ucam.rtsp.errors import MessageError
from ucam.rtsp.messages import Header, Interleaved, Message, Request, Response

_DOLLAR = 0x24
_MAX_LINES = 100
_METHOD = re.compile(r"[A-Za-z_]{1,32}")
_STATUS = re.compile(r"RTSP/1\.\d ([1-5]\d\d)(?: (.*))?")
_CONTROL = re.compile(r"[\x00-\x08\n-\x1f\x7f]")
# What follows the colon is stripped afterwards: a pattern that does it looks at a line of blanks as
# many times as it is long.
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:(.*)")


class Parser:
    """Feed it what the connection brings; it keeps at most a head, a body or a packet.

    `max_head`, `max_body`: bytes of a message. An interleaved packet has at most 65,535.
    """

    def __init__(self, *, max_head: int = 16_384, max_body: int = 65_536) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._kept: list[bytes | memoryview] = []
        self._have = 0
        self._need = 0  # so many bytes, before it is worth looking again
        self._broken = False

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message | MessageError]:
        """What is now whole. `bytes` are not copied; others are. A `MessageError` is the last
        item of the list; what comes after it is passed over.
        """
        chunk = data if isinstance(data, bytes) else bytes(data)
        if self._broken or not chunk:
            return []
        if self._have:
            self._kept.append(chunk)
            self._have += len(chunk)
            if self._have < self._need:
                return []
            chunk = b"".join(self._kept)
        found: list[Message | MessageError] = []
        try:
            rest = self._walk(chunk, found)
        except MessageError as error:
            self._broken, rest = True, len(chunk)
            found.append(error)
        self._have = len(chunk) - rest
        self._kept = [memoryview(chunk)[rest:]] if self._have else []
        return found

    def _walk(self, data: bytes, found: list[Message | MessageError]) -> int:
        """Appends what is whole, sets what is needed to go on; returns where the rest begins."""
        view, position, end = memoryview(data), 0, len(data)
        while position < end:
            first = data[position]
            if first == _DOLLAR:
                stop = self._packets(data, view, position, found)
                if position == stop or (stop < end and data[stop] == _DOLLAR):
                    return stop
                position = stop
            elif first in b"\r\n":
                # Empty lines between messages: HTTP's old advice to be patient with them.
                position += 1
            else:
                stop = self._message(data, position, found)
                if not stop:
                    return position
                position = stop
        return position

    def _packets(
        self, data: bytes, view: memoryview, begin: int, found: list[Message | MessageError]
    ) -> int:
        """Appends the packets from `begin` on; returns where the last whole one ends."""
        packets: list[tuple[int, memoryview]] = []
        position, end = begin, len(data)
        while position < end and data[position] == _DOLLAR:
            start = position + 4
            if start > end:
                self._need = 4
                break
            stop = start + (data[position + 2] << 8 | data[position + 3])
            if stop > end:
                self._need = stop - position
                break
            packets.append((data[position + 1], view[start:stop]))
            position = stop
        if packets:
            found.append(Interleaved(packets, view[begin:position]))
        return position

    def _message(self, data: bytes, start: int, found: list[Message | MessageError]) -> int:
        """Appends the message at `start` and returns its end; 0 when it is not whole."""
        if not chr(data[start]).isascii() or not chr(data[start]).isalpha():
            raise MessageError(f"no RTSP message begins with byte 0x{data[start]:02x}")
        head_end = data.find(b"\r\n\r\n", start, start + self._max_head)
        if head_end < 0:
            if len(data) - start >= self._max_head:
                raise MessageError(f"a head of more than {self._max_head} bytes", 413)
            self._need = 0
            return 0
        first, headers = _parse_head(data[start:head_end])
        body_start = head_end + 4
        stop = body_start + self._body_length(headers)
        if stop > len(data):
            self._need = stop - start
            return 0
        found.append(_message(first, headers, data[body_start:stop]))
        return stop

    def _body_length(self, headers: tuple[Header, ...]) -> int:
        values = {value for name, value in headers if name.lower() == "content-length"}
        if not values:
            return 0
        value = values.pop()
        if values or not value.isascii() or not value.isdigit() or len(value) > 9:
            raise MessageError("a Content-Length that is not one number")
        if int(value) > self._max_body:
            raise MessageError(f"a body of more than {self._max_body} bytes", 413)
        return int(value)


def _parse_head(head: bytes) -> tuple[str, tuple[Header, ...]]:
    try:
        first, *lines = head.decode().split("\r\n")
    except UnicodeDecodeError as error:
        raise MessageError("a head that is not UTF-8") from error
    if any(map(_CONTROL.search, (first, *lines))):
        raise MessageError("a control character in a head")
    if len(lines) > _MAX_LINES:
        raise MessageError(f"more than {_MAX_LINES} headers")
    headers: list[Header] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:
            name, value = headers[-1]
            more = line.strip(" \t")
            headers[-1] = (name, f"{value} {more}".strip(" "))
        elif matched := _HEADER.fullmatch(line):
            headers.append((matched[1], matched[2].strip(" \t")))
        else:
            raise MessageError("a header line without a name")
    return first, tuple(headers)


def _message(first: str, headers: tuple[Header, ...], body: bytes) -> Message:
    if matched := _STATUS.fullmatch(first):
        return Response(int(matched[1]), matched[2] or "", headers, body)
    method, *rest = first.split(" ")
    if len(rest) != 2 or not _METHOD.fullmatch(method) or not rest[0].isprintable():
        raise MessageError("a first line that is neither a request nor an answer")
    if rest[1] != "RTSP/1.0":
        status = 505 if rest[1].startswith("RTSP/") else 400
        raise MessageError("a request that is not RTSP/1.0", status)
    return Request(method, rest[0], headers, body)
