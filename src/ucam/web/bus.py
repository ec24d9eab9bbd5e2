"""Between the processes of one web application: events by Redis' publish and subscribe.

What is told while Redis is away is lost, and that is right: when it is back, everybody tells all
that holds then (`Elsewhere.joined`). The same goes for a process that tells more than Redis takes.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from ucam.base.backoff import Backoff
from ucam.web.events import COUNTED, AnyEvent, Envelope, Leaving, decode, encode
from ucam.web.redis_link import PREFIX, ask, away, close
from ucam.web.state import StateAway

_log = logging.getLogger(__name__)
EVERYBODY = f"{PREFIX}room"
MAX_WAITING_EVENTS = 10_000
MAX_AT_ONCE = 500
# We hear ourselves: who doesn't for so long has a way that only seems to be there.
SILENT_S = 6.0


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
        self._heard_own_s = 0.0
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
            # A task of its own: what is cancelled inside it ends this attempt and no more.
            attempt = asyncio.ensure_future(self._stay(client, backoff))
            try:
                await asyncio.wait((attempt,))
            finally:
                attempt.cancel()
                (result,) = await asyncio.gather(attempt, return_exceptions=True)
                self._waiting = None
                self._cut()
                await close(client)
            _log.error("the other processes can't be heard: %s", _reason(result))
            await asyncio.sleep(backoff.next_delay_s())

    async def _stay(self, client: Redis, backoff: Backoff) -> None:
        listener = client.pubsub(ignore_subscribe_messages=True)
        try:
            await ask(listener.subscribe(EVERYBODY, f"{EVERYBODY}:{self.process}"))
            # Their answers: what is told from now on is heard.
            for _ in range(2):
                await ask(listener.get_message(timeout=None))
            waiting = self._waiting = asyncio.Queue(MAX_WAITING_EVENTS)
            self._heard_own_s = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(client, waiting))
                tasks.create_task(self._listen(listener))
                tasks.create_task(self._watch())
                _log.info("the other processes can be heard")
                self._joined()
                backoff.reset()
        finally:
            with contextlib.suppress(StateAway):
                await ask(listener.aclose())  # type: ignore[no-untyped-call]

    async def _send(self, client: Redis, waiting: asyncio.Queue[tuple[str, bytes]]) -> None:
        """One batch after the other: each receiver hears events in their order."""
        while True:
            batch = [await waiting.get()]
            while not waiting.empty() and len(batch) < MAX_AT_ONCE:
                batch.append(waiting.get_nowait())
            async with client.pipeline(transaction=False) as pipeline:
                for channel, data in batch:
                    pipeline.publish(channel, data)
                await ask(pipeline.execute())
            if self._waiting is not waiting:
                raise StateAway("too many events waited")

    async def _listen(self, listener: PubSub) -> None:
        with away():
            async for message in listener.listen():
                try:
                    envelope = decode(message["data"])
                except ValueError as error:
                    _log.error("an event that isn't understood: %s", error)
                    continue
                if envelope.process == self.process:
                    self._heard_own_s = time.monotonic()
                else:
                    self._hear(envelope)
        raise StateAway("the subscription has ended")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            if time.monotonic() - self._heard_own_s > SILENT_S:
                raise StateAway(f"nothing heard for {SILENT_S:.0f} s")

    async def leave(self) -> None:
        """Tell the others that this process ends; they need not wait to notice."""
        client = self._connect()
        try:
            await ask(client.publish(EVERYBODY, self._written(Leaving())))
        except StateAway as error:
            _log.warning("the other processes don't hear that this one ends: %s", error)
        finally:
            await close(client)


def _reason(error: object) -> object:
    """What ended an attempt, out of the group of those that ended with it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, StateAway) else repr(error)
