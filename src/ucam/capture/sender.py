"""From the spool to storage: RTSPS, packets of up to 60,000 bytes, for ever.

Each connection asks first what storage has, and goes on from there. Nothing leaves the spool but
what storage confirms.
"""

import asyncio
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Callable

from ucam.base.backoff import Backoff
from ucam.base.jid import JID
from ucam.capture.address import Address
from ucam.capture.connection import ANSWER_TIMEOUT_S, Connection, RunOver, SendError
from ucam.capture.run import Run
from ucam.capture.spool import Spool
from ucam.device.token import TokenFileError, TokenStore
from ucam.rtp.h264 import H264Packetizer
from ucam.rtsp.client import Durable, DurableUntil, Publisher, Ready
from ucam.rtsp.sdp import RunLine, h264_session

_log = logging.getLogger(__name__)
MAX_PACKET = 60_000
PAYLOAD_TYPE = 96
NTP64_ID = 1
ASK_INTERVAL_S = 2.0
CONNECT_TIMEOUT_S = 10.0
# Above this the connection is behind, and what is captured waits in the spool.
MAX_TRANSPORT_BYTES = 256_000
# The same in the kernel, beside what is under way: its own limit is megabytes, which a slow line
# carries for half a minute, while a question for what is durable waits behind them.
MAX_UNSENT_BYTES = 64_000
# A connection that held on for so long was a good one: the next try comes soon again. Two cameras
# with one JID replace each other at storage, and must not do so several times a second.
GOOD_AFTER_S = 20.0
# How long a finished run may take to become durable before its rest is sent again.
SETTLE_TRIES = 20
SETTLE_PAUSE_S = 0.1


class Sender:
    """Sends what is in `spool` to the storage at `address()`, as the device `jid`.

    `changed` is called when `connected` or `durable` change.
    """

    def __init__(
        self,
        jid: JID,
        tokens: TokenStore,
        spool: Spool,
        address: Callable[[], Address | None],
        changed: Callable[[], None],
    ) -> None:
        self._jid = jid
        self._tokens = tokens
        self._spool = spool
        self._address = address
        self._changed = changed
        self._fed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._all_confirmed = asyncio.Event()
        self._sent_to: tuple[str, int] | None = None  # where the last session was ended
        self._finishing = False
        self._connected_s = float("inf")  # since when media flows on this connection
        self.connected = False
        self.durable: Durable | None = None
        self.fault: str | None = None

    def wake(self) -> None:
        """Something is new in the spool."""
        self._fed.set()

    def hurry(self) -> None:
        """The address changed: don't wait for the next try."""
        self._hurry.set()

    async def run(self) -> None:
        """Send for ever. Cancel to end; `finish` first where time allows."""
        backoff = Backoff(first_s=0.25, longest_s=10)
        clock = asyncio.get_running_loop()
        while True:
            reason: str | None = None
            self._connected_s = float("inf")
            try:
                await self._connect_once()
            except* RunOver:
                backoff.reset()
            except* (OSError, TimeoutError, SendError) as group:
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
        self._fed.set()
        try:
            async with asyncio.timeout(limit_s):
                if self._spool.unconfirmed:
                    await self._all_confirmed.wait()
        except TimeoutError:
            _log.warning("%d access units are not confirmed by storage", self._spool.unconfirmed)

    async def _pause(self, delay_s: float) -> None:
        self._hurry.clear()
        try:
            async with asyncio.timeout(delay_s):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _connect_once(self) -> None:
        while (first := self._spool.resume()) is None:
            await self._wait_for_units()
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
                raise SendError(
                    f"{address.url} shows another certificate than the pinned one: either the"
                    " storage made itself a new one, or this isn't the storage"
                )
            writer.transport.set_write_buffer_limits(high=MAX_TRANSPORT_BYTES)
            writer.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES
            )
            publisher = Publisher(f"{address.url}/{self._jid}", self._tokens.token)
            connection = Connection(publisher, reader, writer)
            await self._ask_until_settled(connection)
            first = self._spool.resume() or first
            run, number = first.run, first.unit.number
            sets = run.track.parameter_sets
            publisher.announce(
                h264_session(
                    sets, RunLine(run.id, number), payload_type=PAYLOAD_TYPE, ntp64_id=NTP64_ID
                )
            )
            connection.flush()
            await connection.wait_for(Ready)
            _log.info("storage %s: sending run %s from %d", address.url, run.id, number)
            self._connected_s = asyncio.get_running_loop().time()
            self.fault = None
            self._set_connected(True)
            await self._send_run(connection, run, number)
        finally:
            # What waits in the buffer isn't worth waiting for: it is still in the spool.
            writer.transport.abort()

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

    async def _send_run(self, connection: Connection, run: Run, number: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(connection, run, number))
            tasks.create_task(self._ask_again_and_again(connection))
            while True:
                for event in await connection.events():
                    if isinstance(event, DurableUntil):
                        self._confirm(event)

    async def _write(self, connection: Connection, run: Run, number: int) -> None:
        packetizer = H264Packetizer(
            PAYLOAD_TYPE,
            secrets.randbits(32),
            max_packet=MAX_PACKET,
            ntp64_id=NTP64_ID,
            parameter_sets=run.track.parameter_sets,
            first_sequence=secrets.randbits(16),
        )
        writer = connection.writer
        while True:
            item = self._spool.peek()
            if item is None and self._finishing:
                await self._end_session(connection, run, number - 1)
            elif item is None:
                await self._wait_for_units()
            elif item.run is not run or item.unit.number != number:
                # Another run, or a hole where memory was short: it wants an ANNOUNCE of its own.
                await self._end_session(connection, run, number - 1)
            else:
                self._spool.take()
                packets = packetizer.packetize(item.unit, item.unit.pts_90k & 0xFFFF_FFFF)
                connection.write(connection.publisher.frame(packets))
                number += 1
                await writer.drain()

    async def _end_session(self, connection: Connection, run: Run, last: int) -> None:
        """Say that the run is over; storage hangs up when it has read that (see `events`)."""
        self._sent_to = (run.id, last)
        connection.torn_down = True
        connection.publisher.teardown()
        connection.flush()
        await asyncio.sleep(ANSWER_TIMEOUT_S)
        raise RunOver

    async def _ask_again_and_again(self, connection: Connection) -> None:
        while not connection.torn_down:
            await asyncio.sleep(ASK_INTERVAL_S)
            connection.ask()

    async def _wait_for_units(self) -> None:
        self._fed.clear()
        if not self._spool.waiting:
            await self._fed.wait()

    def _confirm(self, event: DurableUntil) -> None:
        if event.position is None:
            return
        self._spool.confirm(event.position.run, event.position.number)
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
        if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
            where = self._address()
            return f"{where.url if where else 'its address'}: {_plain(error)}"
        return str(error) or "no answer in time"

    def _set_connected(self, connected: bool) -> None:
        if self.connected != connected:
            self.connected = connected
            self._changed()


def _plain(error: OSError) -> str:
    """Without the numbers of the operating system, as far as it is one of its errors."""
    if isinstance(error, socket.gaierror):
        return f"the name isn't found ({error.strerror})"
    return os.strerror(error.errno or 0)
