"""From the spool to storage: RTSPS, packets of up to 60,000 bytes, for ever.

Each connection asks first what storage has, and goes on from there. Nothing leaves the spool but
what storage confirms.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable

from ucam.base.backoff import Backoff
from ucam.base.jid import JID
from ucam.capture import trouble
from ucam.capture.address import Address
from ucam.capture.connection import ANSWER_TIMEOUT_S, Connection, RunOver, SendError
from ucam.capture.session import Session
from ucam.capture.spool import Spool, Spooled
from ucam.device.token import TokenFileError, TokenStore
from ucam.rtsp.client import Durable, DurableUntil, Publisher, Ready

_log = logging.getLogger(__name__)
ASK_INTERVAL_S = 2.0
CONNECT_TIMEOUT_S = 10.0
# Above this the connection is behind, and what is captured waits in the spool.
MAX_TRANSPORT_BYTES = 256_000
# The same in the kernel, beside what is under way: its own limit is megabytes, which a slow line
# carries for half a minute, while a question for what is durable waits behind them.
MAX_UNSENT_BYTES = 64_000
# So many pictures that wait go as one piece.
MOST_AT_ONCE = 8
# A connection that held on for so long was a good one: the next try comes soon again. Two cameras
# with one JID replace each other at storage, and must not do so several times a second.
GOOD_AFTER_S = 20.0
# How long a finished run may take to become durable before its rest is sent again.
SETTLE_TRIES = 20
SETTLE_PAUSE_S = 0.1
# Storage counts as away when a connection has broken, or none came about, for so long; …
AWAY_AFTER_S = 0.5
STARTING_S = 2.0
# … when nothing that was written arrives; or when what it doesn't confirm grows as old as this.
BEHIND_S = 6.0
# While somebody watches, what is older goes so many times as fast as it was captured: the rest of
# the line is the viewers'.
CATCH_UP_FACTOR = 3
LEAST_CATCH_UP_BYTES_S = 250_000
# Frames of sound before the first picture of a connection, some two seconds.
MOST_EARLY = 100
SO_MAX_PACING_RATE = 47  # socket(7), Linux; Python has no name for it
NO_PACING = 0xFFFF_FFFF


class Sender:
    """Sends what is in `spool` to the storage at `address()`, as the device `jid`.

    `changed` is called when `connected` or `durable` change. `watched`: whether viewers are being
    served, who need the line as well.
    """

    def __init__(
        self,
        jid: JID,
        tokens: TokenStore,
        spool: Spool,
        address: Callable[[], Address | None],
        changed: Callable[[], None],
        watched: Callable[[], bool] = lambda: False,
    ) -> None:
        self._jid = jid
        self._tokens = tokens
        self._spool = spool
        self._address = address
        self._changed = changed
        self._watched = watched
        self._hurry = asyncio.Event()
        self._all_confirmed = asyncio.Event()
        self._sent_to: tuple[str, int] | None = None  # where the last session was ended
        self._finishing = False
        self._connected_s = float("inf")  # since when media flows on this connection
        self._patient_until_s: float | None = None
        self._connection: Connection | None = None
        self.connected = False
        self.durable: Durable | None = None
        self.fault: str | None = None

    def hurry(self) -> None:
        """The address changed: don't wait for the next try."""
        self._hurry.set()

    def away(self) -> bool:
        """Whether storage takes nothing, or not enough: then the spool goes to the disk."""
        now_s = asyncio.get_running_loop().time()
        if self._connection is None or not self.connected:
            return self._patient_until_s is not None and now_s >= self._patient_until_s
        return self._connection.is_stalled(now_s) or self._spool.unconfirmed_s > BEHIND_S

    async def run(self) -> None:
        """Send for ever. Cancel to end; `finish` first where time allows."""
        backoff = Backoff(first_s=0.25, longest_s=10)
        clock = asyncio.get_running_loop()
        self._patient_until_s = clock.time() + STARTING_S
        while True:
            reason: str | None = None
            self._connected_s = float("inf")
            try:
                await self._connect_once()
            except* RunOver:
                backoff.reset()
                self._patient_until_s = clock.time() + STARTING_S
            except* (OSError, TimeoutError, SendError) as group:
                if self.connected:
                    self._patient_until_s = clock.time() + AWAY_AFTER_S
                reason = self._explain(group)
            self._set_connected(False)
            if clock.time() - self._connected_s >= GOOD_AFTER_S:
                backoff.reset()
            if reason is None:
                continue
            self.fault = reason
            delay_s = backoff.next_delay_s()
            _log.warning("storage: %s; next try in %.1f s", reason, delay_s)
            self._changed()
            await self._pause(delay_s)

    async def finish(self, limit_s: float) -> None:
        """Nothing more is captured: return when everything is confirmed, or after `limit_s`."""
        self._finishing = True
        self._all_confirmed.clear()
        self._spool.wake()
        try:
            async with asyncio.timeout(limit_s):
                if self._spool.unconfirmed:
                    await self._all_confirmed.wait()
        except TimeoutError:
            _log.warning("%.1f s are not confirmed by storage", self._spool.unconfirmed_s)

    async def _pause(self, delay_s: float) -> None:
        self._hurry.clear()
        try:
            async with asyncio.timeout(delay_s):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _connect_once(self) -> None:
        self._spool.rewind()
        if self._spool.waits_for_clock:
            self.fault = trouble.NO_CLOCK
            self._changed()
        await self._spool.peek()
        address = self._address()
        if address is None:
            raise SendError("its address isn't known yet (it announces itself in the room)")
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=address.tls(), limit=MAX_TRANSPORT_BYTES
            )
        try:
            tls = writer.get_extra_info("ssl_object")
            # Before anything is said: the token is for the right storage alone.
            if not address.check(tls.getpeercert(binary_form=True)):
                raise SendError(trouble.OTHER_CERTIFICATE.format(address.url))
            writer.transport.set_write_buffer_limits(high=MAX_TRANSPORT_BYTES)
            publisher = Publisher(f"{address.url}/{self._jid}", self._tokens.token)
            connection = Connection(publisher, reader, writer)
            connection.set_option(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)
            self._connection = connection
            await self._ask_until_settled(connection)
            session, early = await self._begin_session()
            publisher.announce(session.description)
            connection.flush()
            await connection.wait_for(Ready)
            session.take_channels(publisher.channels)
            _log.info("storage %s: sending run %s", address.url, session)
            self._connected_s = asyncio.get_running_loop().time()
            self.fault = None
            self._set_connected(True)
            frames = [publisher.frame(*session.packets(item.unit)) for item in early]
            connection.write(b"".join(frames))
            await self._send_run(connection, session)
        finally:
            self._connection = None
            # What waits in the buffer isn't worth waiting for: it is still in the spool.
            writer.transport.abort()

    async def _begin_session(self) -> tuple[Session, list[Spooled]]:
        """What the next pictures in the spool belong to, and the sound that stands before them."""
        self._spool.rewind()
        early: deque[Spooled] = deque(maxlen=MOST_EARLY)
        while (item := await self._spool.peek()).unit.audio:
            early.append(item)
            self._spool.take()
        session = Session(item.run, item.unit.number, self._spool.why_missing(item))
        return session, [each for each in early if session.goes_on_with(each)]

    async def _ask_until_settled(self, connection: Connection) -> None:
        connection.publisher.start()
        connection.flush()
        for _ in range(SETTLE_TRIES):
            answer = await connection.wait_for(DurableUntil)
            assert isinstance(answer, DurableUntil)
            self._confirm(answer)
            # What was sent to its end a moment ago is about to become durable.
            if self._sent_to is None or not self._spool.awaits(*self._sent_to):
                break
            await asyncio.sleep(SETTLE_PAUSE_S)
            connection.ask()
        self._sent_to = None

    async def _send_run(self, connection: Connection, session: Session) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(connection, session))
            tasks.create_task(self._ask_again_and_again(connection))
            while True:
                for event in await connection.events():
                    if isinstance(event, DurableUntil):
                        self._confirm(event)

    async def _write(self, connection: Connection, session: Session) -> None:
        while True:
            item = await (self._spool.poll() if self._finishing else self._spool.peek())
            if item is None and not self._finishing:
                continue
            if item is None or not session.goes_on_with(item):
                # The end, another run, or a hole: the last two want an ANNOUNCE of their own.
                await self._end_session(connection, session)
            else:
                self._write_with_more(connection, session, item)
                await connection.writer.drain()
                if self._spool.is_behind:
                    await asyncio.sleep(0)  # whatever else happens here comes first

    def _write_with_more(self, connection: Connection, session: Session, first: Spooled) -> None:
        """With what is at hand behind it, as one piece: TLS and the kernel take several pictures
        for little more than one.
        """
        self._spool.take()
        parts = connection.publisher.framed(*session.packets(first.unit))
        taken: list[Spooled] = []
        room = MAX_TRANSPORT_BYTES - len(first.unit.data)
        for item in self._spool.at_hand(MOST_AT_ONCE):
            room -= len(item.unit.data)
            if room < 0 or not session.goes_on_with(item):
                break
            parts += connection.publisher.framed(*session.packets(item.unit))
            taken.append(item)
        self._spool.take_all(taken)
        connection.write(b"".join(parts))

    async def _end_session(self, connection: Connection, session: Session) -> None:
        """Say that the run is over; storage hangs up when it has read that (see `events`)."""
        self._sent_to = (session.run.id, session.number - 1)
        connection.torn_down = True
        connection.publisher.teardown()
        connection.flush()
        await asyncio.sleep(ANSWER_TIMEOUT_S)
        raise RunOver

    async def _ask_again_and_again(self, connection: Connection) -> None:
        while not connection.torn_down:
            self._pace(connection)
            await asyncio.sleep(ASK_INTERVAL_S)
            connection.ask()

    def _pace(self, connection: Connection) -> None:
        """Leave viewers their part of the line: the kernel spreads what we write over time."""
        most = max(LEAST_CATCH_UP_BYTES_S, int(self._spool.bytes_a_second * CATCH_UP_FACTOR))
        rate = struct.pack("I", min(most, NO_PACING) if self._watched() else NO_PACING)
        connection.set_option(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)

    def _confirm(self, event: DurableUntil) -> None:
        if event.position is None:
            return
        position = event.position
        self._spool.confirm(position.run, position.number, position.utc_us)
        if not self._spool.unconfirmed:
            self._all_confirmed.set()
        self.durable = event.position
        self._changed()

    def _explain(self, group: BaseExceptionGroup[BaseException]) -> str:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, SendError) and error.status in (401, 403):
            try:
                self._tokens.reload()
            except TokenFileError as problem:
                return str(problem)
        address = self._address()
        return trouble.explain(error, address.url if address else "its address")

    def _set_connected(self, connected: bool) -> None:
        if self.connected != connected:
            self.connected = connected
            self._changed()
