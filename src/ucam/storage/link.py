"""TLS over a plain socket, with a reader that may rest between two looks at it.

A camera sends a picture every few tens of milliseconds. Waking up for each, in a process that
serves many cameras, costs more than what is then done with it; what has piled up in the kernel for
a fifth of a second is read, decrypted and taken apart in one go for half the CPU. TLS therefore
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
REST_S = 0.2
# A link that brings more than this between two rests is looked at four times as often: it is one
# that is behind and must not be held back by a full socket buffer, or one that has a lot to say.
MUCH_BYTES = 160 * 1024
OFTEN = 4


class Owner(Protocol):
    """Whom a link is for."""

    def connected(self, link: "Link") -> None:
        """TLS stands."""

    def received(self, data: memoryview) -> None:
        """So much has come; the view is used again afterwards."""

    def lost(self) -> None:
        """The socket is gone. Told once, and only after `connected`."""


class Beat:
    """Links that rest until its next stroke: all wake up at once, while the code that they need
    stays in the processor's caches.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._resting: list[Link] = []

    def rest(self, link: "Link") -> None:
        """Until the next stroke."""
        if not self._resting:
            loop = asyncio.get_running_loop()
            # The same strokes for ever, so that who comes late is soon in step.
            loop.call_at((loop.time() // self._period_s + 1) * self._period_s, self.strike)
        self._resting.append(link)

    def strike(self) -> None:
        """Wake all up."""
        resting, self._resting = self._resting, []
        for link in resting:
            link.wake()


class Links:
    """What the links of one server share: buffers, and the clocks of those that rest."""

    def __init__(self, context: ssl.SSLContext, rest_s: float = REST_S) -> None:
        self.context = context
        # What they hold has been taken in when the next link gets them.
        self.sealed = memoryview(bytearray(BUFFER_BYTES))
        # Room for what a look brings, and for a record of TLS whose beginning came before.
        self.plain = memoryview(bytearray(BUFFER_BYTES + PIECE_BYTES))
        self._rest_s = rest_s
        self._slow, self._fast = Beat(rest_s), Beat(rest_s / OFTEN)
        self._may_rest = True
        self.handshakes: dict[Link, None] = {}  # the oldest first

    def rest(self, link: "Link", *, much: bool) -> bool:
        """Wake this link up at the next beat, unless nobody may rest any more."""
        if self._may_rest:
            (self._fast if much else self._slow).rest(link)
        return self._may_rest

    async def catch_up(self) -> None:
        """The server stops: what the kernel holds by now is read, and nobody rests any more."""
        self._may_rest = False
        self._slow.strike()
        self._fast.strike()
        await asyncio.sleep(self._rest_s)


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
        self._paused = self._rests = self._closing = self._ended = False
        self._failure: ssl.SSLError | None = None
        self._piled = 0  # bytes since the last rest
        self._more = False  # there may be more in the kernel
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
        self._piled += nbytes
        self._more = nbytes == BUFFER_BYTES
        have = self._open(nbytes)
        self._flush()
        if have and self._owner is not None and not self._closing:
            self._owner.received(self._links.plain[:have])
        if self._failure is not None:
            _log.info("%s: TLS failed: %s", self.peer, self._failure.reason or self._failure)
            self.abort()
        elif self._ended:
            self.close()

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

    def _open(self, nbytes: int) -> int:
        """Decrypt so many bytes; how many there are in `plain` then."""
        sealed, have = self._links.sealed, 0
        for begin in range(0, nbytes, PIECE_BYTES):
            self._incoming.write(sealed[begin : min(nbytes, begin + PIECE_BYTES)])
            try:
                if self._owner is None:
                    self._tls.do_handshake()
                    self._begin()
                have = self._read(have)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                self._failure = error
            if self._failure or self._ended or self._closing:
                break
        return have

    def _read(self, have: int) -> int:
        """Put behind the `have` bytes in `plain` what is whole."""
        plain = self._links.plain
        try:
            while got := cast(int, self._tls.read(len(plain) - have, plain[have:])):
                have += got
            self._ended = True  # the peer's goodbye
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._failure = error  # what came before it is good
        return have

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
        if not (self._rests or self._closing or self._more):
            much, self._piled = self._piled > MUCH_BYTES, 0
            self._rests = self._links.rest(self, much=much)
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
