"""Between the processes of one web application: events by Redis' publish and subscribe.

What is told while Redis is away is lost, and that is right: when it is back, everybody tells all
that holds then (`Elsewhere.joined`). The same goes for a process that tells more than Redis takes.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from redis.asyncio import Redis

from ucam.base.backoff import Backoff
from ucam.web.events import COUNTED, AnyEvent, Envelope, Leaving, decode, encode
from ucam.web.redis_link import PREFIX, away, close
from ucam.web.state import StateAway

_log = logging.getLogger(__name__)
EVERYBODY = f"{PREFIX}room"
MAX_WAITING_EVENTS = 10_000
MAX_AT_ONCE = 500
# We hear ourselves: who doesn't for so long has a way that only seems to be there.
SILENT_S = 6.0
LISTEN_S = 1.0


class Bus:
    """This process among the others. `hear` gets what they tell, `joined` and `cut` the way's
    state; all are called in the loop and must not block."""

    def __init__(
        self,
        connect: Callable[[], Redis],
        hear: Callable[[Envelope], None],
        joined: Callable[[], None],
        cut: Callable[[], None],
    ) -> None:
        self.process = secrets.token_hex(8)
        """This process' name, a new one at each start."""
        self._connect = connect
        self._hear, self._joined, self._cut = hear, joined, cut
        self._number = 0
        # Only while the way is there. Full means that Redis takes too little: begin anew.
        self._waiting: asyncio.Queue[tuple[str, bytes]] | None = None

    def tell(self, process: str | None, event: AnyEvent) -> None:
        """Tell one other process, or all of them."""
        if process is None and isinstance(event, COUNTED):
            self._number += 1
        if self._waiting is None:
            return
        channel = EVERYBODY if process is None else f"{EVERYBODY}:{process}"
        try:
            self._waiting.put_nowait((channel, self._written(event)))
        except asyncio.QueueFull:
            _log.error("Redis takes events too slowly; beginning anew")
            self._waiting = None

    def _written(self, event: AnyEvent) -> bytes:
        return encode(Envelope(self.process, self._number, event))

    async def run(self) -> None:
        """Keep the way open, for ever."""
        backoff = Backoff(first_s=0.2, longest_s=2.0)
        while True:
            client = self._connect()
            try:
                await self._stay(client, backoff)
            except* StateAway as group:
                _log.error("the other processes can't be heard: %s", group.exceptions[0])
            finally:
                if self._waiting is not None:
                    self._waiting = None
                self._cut()
                await close(client)
            await asyncio.sleep(backoff.next_delay_s())

    async def _stay(self, client: Redis, backoff: Backoff) -> None:
        listener = client.pubsub(ignore_subscribe_messages=True)
        try:
            with away():
                await listener.subscribe(EVERYBODY, f"{EVERYBODY}:{self.process}")
                # The answer to the subscription: what is told from now on is heard.
                await listener.get_message(timeout=SILENT_S)
            waiting = self._waiting = asyncio.Queue(MAX_WAITING_EVENTS)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(client, waiting))
                tasks.create_task(self._listen(listener))
                _log.info("the other processes can be heard")
                self._joined()
                backoff.reset()
        finally:
            await listener.aclose()  # type: ignore[no-untyped-call]

    async def _send(self, client: Redis, waiting: asyncio.Queue[tuple[str, bytes]]) -> None:
        """One batch after the other: each receiver hears events in their order."""
        while True:
            batch = [await waiting.get()]
            while not waiting.empty() and len(batch) < MAX_AT_ONCE:
                batch.append(waiting.get_nowait())
            with away():
                async with client.pipeline(transaction=False) as pipeline:
                    for channel, data in batch:
                        pipeline.publish(channel, data)
                    await pipeline.execute()
            if self._waiting is not waiting:
                raise StateAway("too many events waited")

    async def _listen(self, listener: object) -> None:
        heard_own_s = time.monotonic()
        while True:
            with away():
                message = await listener.get_message(timeout=LISTEN_S)  # type: ignore[attr-defined]
            if time.monotonic() - heard_own_s > SILENT_S:
                raise StateAway(f"nothing heard for {SILENT_S:.0f} s")
            if message is None:
                continue
            try:
                envelope = decode(message["data"])
            except ValueError as error:
                _log.error("an event that isn't understood: %s", error)
                continue
            if envelope.process == self.process:
                heard_own_s = time.monotonic()
            else:
                self._hear(envelope)

    async def leave(self) -> None:
        """Tell the others that this process ends; they need not wait to notice."""
        client = self._connect()
        try:
            with away():
                await client.publish(EVERYBODY, self._written(Leaving()))
        except StateAway as error:
            _log.warning("the other processes don't hear that this one ends: %s", error)
        finally:
            await close(client)
