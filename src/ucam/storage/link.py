"""TLS over a plain socket, with a reader that may rest between two looks at it.

A camera sends a picture every few tens of milliseconds. Waking up for each, in a process that
serves many cameras, costs more than what is then done with it; what has piled up in the kernel for
a tenth of a second is read, decrypted and taken apart in one go for half the CPU. TLS therefore
runs in memory here (OpenSSL through `ssl.MemoryBIO`) and the socket below it can be left alone.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

_log = logging.getLogger(__name__)

BUFFER_BYTES = 256 * 1024
# What a MemoryBIO has held once it holds room for as long as it lives.
PIECE_BYTES = 32 * 1024
HANDSHAKE_S = 10.0
MOST_HANDSHAKES = 256  # at a time; above it the oldest goes, so that nobody can lock others out
GOODBYE_S = 2.0
LINGER_S = 0.3
REST_S = 0.1
# More than this in one look is a sender that is behind: it is read on at once.
MOST_RESTED_BYTES = 96 * 1024


class Owner(Protocol):
    """Whom a link is for."""

    def connected(self, link: "Link") -> None:
        """TLS stands."""

    def received(self, data: memoryview) -> None:
        """So much has come; the view is used again afterwards."""

    def lost(self) -> None:
        """The socket is gone. Told once, and only after `connected`."""


class Links:
    """What the links of one server share: buffers, and the clock of those that rest."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        # What they hold has been taken in when the next link gets them.
        self.sealed = memoryview(bytearray(BUFFER_BYTES))
        self.plain = memoryview(bytearray(BUFFER_BYTES))
        self._resting: list[Link] = []
        self._may_rest = True
        self.handshakes: dict[Link, None] = {}  # the oldest first

    def rest(self, link: "Link") -> bool:
        """Wake this link up at the next beat, unless nobody may rest any more."""
        if self._may_rest:
            if not self._resting:
                asyncio.get_running_loop().call_later(REST_S, self._wake)
            self._resting.append(link)
        return self._may_rest

    async def catch_up(self) -> None:
        """The server stops: what the kernel holds by now is read, and nobody rests any more."""
        self._may_rest = False
        self._wake()
        await asyncio.sleep(REST_S)

    def _wake(self) -> None:
        # All at once: the code that does it stays in the processor's caches.
        resting, self._resting = self._resting, []
        for link in resting:
            link.wake()


class Link(asyncio.BufferedProtocol):
    """One connection: give it to `create_server` as the protocol of a plain TCP socket."""

    def __init__(self, links: Links, owner: Callable[[], Owner]) -> None:
        self._links = links
        self._make_owner = owner
        self._owner: Owner | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = links.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._socket: asyncio.Transport | None = None
        self._handshake: asyncio.TimerHandle | None = None
        self._paused = self._rests = self._closing = False
        self.peer = "?"

    # From the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A TCP connection stands."""
        # uvloop's transports are such in all but name.
        self._socket = cast(asyncio.Transport, transport)
        if address := transport.get_extra_info("peername"):
            self.peer = f"{address[0]}:{address[1]}"
        if len(self._links.handshakes) >= MOST_HANDSHAKES:
            oldest = next(iter(self._links.handshakes))
            _log.warning("%s: closed: too many connections begin at once", oldest.peer)
            oldest.abort()
            oldest._end_handshake()
        self._links.handshakes[self] = None
        self._handshake = asyncio.get_running_loop().call_later(HANDSHAKE_S, self.abort)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the socket's bytes go."""
        return self._links.sealed

    def buffer_updated(self, nbytes: int) -> None:
        """So many have come."""
        for begin in range(0, nbytes, PIECE_BYTES):
            self._incoming.write(self._links.sealed[begin : min(nbytes, begin + PIECE_BYTES)])
            try:
                if self._owner is None:
                    self._tls.do_handshake()
                    self._begin()
                self._read()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError as error:
                self._flush()  # an alert that says so
                _log.info("%s: TLS failed: %s", self.peer, error.reason or error)
                self.abort()
            if self._closing:
                return

    def eof_received(self) -> bool:
        """The peer has ended its side: so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._closing = True
        self._end_handshake()
        if self._owner is not None:
            self._owner.lost()

    def _end_handshake(self) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None
            self._links.handshakes.pop(self, None)

    def _begin(self) -> None:
        self._end_handshake()
        self._flush()
        self._owner = self._make_owner()
        self._owner.connected(self)

    def _read(self) -> None:
        """Give the owner what can be decrypted: until an `SSLError`, or the peer's goodbye."""
        assert self._owner is not None
        plain, have, ended = self._links.plain, 0, False
        try:
            while not (ended or self._closing):
                got = cast(int, self._tls.read(BUFFER_BYTES - have, plain[have:]))
                have += got
                ended = not got
                if have == BUFFER_BYTES:
                    have = 0
                    self._owner.received(plain)
        finally:
            if have and not self._closing:
                self._owner.received(plain[:have])
        self.close()

    def _flush(self) -> None:
        if self._socket is not None and self._outgoing.pending:
            self._socket.write(self._outgoing.read())

    # For the owner

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; `backlog` tells how much of all that waits."""
        if not self._closing:
            self._tls.write(data)
            self._flush()

    def backlog(self) -> int:
        """Bytes that the peer has not taken."""
        return 0 if self._socket is None else self._socket.get_write_buffer_size()

    def pause(self) -> None:
        """Read nothing until `resume`."""
        self._paused = True
        self._pause_or_read()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._pause_or_read()

    def rest(self) -> None:
        """Let what comes pile up for a moment; it costs at most `REST_S` of latency."""
        if not self._rests and not self._closing:
            self._rests = self._links.rest(self)
            self._pause_or_read()

    def wake(self) -> None:
        """The moment is over."""
        self._rests = False
        self._pause_or_read()

    def _pause_or_read(self) -> None:
        if self._socket is None or self._socket.is_closing():
            return
        if self._paused or self._rests:
            self._socket.pause_reading()
        else:
            self._socket.resume_reading()

    @property
    def closing(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._closing

    def close(self) -> None:
        """Send what waits and TLS's goodbye, then end."""
        if self._closing or self._socket is None:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # it wants the peer's goodbye, which we don't wait for
            self._tls.unwrap()
        self._flush()
        self._socket.close()
        # A peer that doesn't take what waits must not hold the socket.
        asyncio.get_running_loop().call_later(GOODBYE_S, self._socket.abort)

    def close_soon(self) -> None:
        """Let the peer hang up first, for a moment."""
        asyncio.get_running_loop().call_later(LINGER_S, self.close)

    def abort(self) -> None:
        """End at once."""
        self._closing = True
        if self._socket is not None:
            self._socket.abort()
