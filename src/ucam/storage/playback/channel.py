"""The playback protocol on one data channel: requests in, heads and pieces out, nothing piled up.

→ text    {"id": 7, "path": "/chunks/12", "range": "bytes=0-999", "method": "GET"}
          or   {"id": 7, "abort": true}; range and method may be absent; if-range, if-none-match
          as the headers of these names
← text    {"id": 7, "status": 206, "headers": {…}, "length": 1000}
← binary  [u32 id, big-endian][at most 64 KiB of the body], until `length` bytes were sent
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from ucam.storage.playback.answers import Answer, Endless, Method, Request, problem
from ucam.storage.playback.congestion import PACKET_BYTES

_log = logging.getLogger(__name__)
# One SCTP message, with its number fourteen full packets; 64 KiB is what a browser takes at most.
PIECE_BYTES = 14 * PACKET_BYTES - 4
READ_BYTES = 16 * PIECE_BYTES
HIGH_BYTES = 256 * 1024
LOW_BYTES = 64 * 1024
# More requests at a time are answered 429: a page needs a handful.
MOST_IN_FLIGHT = 16
MOST_REQUEST_BYTES = 4096


class Wire(Protocol):
    """What is needed of a data channel; aiortc's `RTCDataChannel` has it."""

    @property
    def bufferedAmount(self) -> int:  # noqa: N802 - the browser API's name
        """Bytes that wait to be sent."""

    def send(self, data: str | bytes) -> None:
        """Queue a message; raises when the channel is closed."""


class _Ask(msgspec.Struct, rename="kebab"):
    id: int
    path: str | None = None
    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None
    method: Method = "GET"
    abort: bool = False


class Channel:
    """Serves one viewer's channel. `closed` tells that sending makes no sense any more; `forget`
    drops messages with this beginning that were sent and have not left yet.
    """

    def __init__(
        self,
        wire: Wire,
        handle: Callable[[Request], Awaitable[Answer]],
        locations: frozenset[str],
        *,
        closed: Callable[[], bool],
        forget: Callable[[bytes], None] = lambda _prefix: None,
        role: str = "player",
        who: str = "",
    ) -> None:
        self._role, self._who = role, who
        self._wire = wire
        self._handle = handle
        self._locations = locations
        self._closed = closed
        self._forget = forget
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._drained = asyncio.Event()
        self._sending = asyncio.Lock()

    def drained(self) -> None:
        """`bufferedAmount` has fallen below the low mark."""
        self._drained.set()

    def message(self, text: str | bytes) -> None:
        """What the viewer sent. Nonsense is dropped: there is no id to answer to."""
        if not isinstance(text, str) or len(text) > MOST_REQUEST_BYTES:
            return
        try:
            ask = msgspec.json.decode(text, type=_Ask)
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
            return
        if not 0 <= ask.id <= 0xFFFFFFFF:
            return
        if ask.abort:
            task = self._tasks.pop(ask.id, None)
            if task is not None:
                task.cancel()
                # What waits would stand before the answer that is wanted instead.
                self._forget(ask.id.to_bytes(4))
            return
        if ask.id in self._tasks:
            return  # one id, one answer
        waiting = len(self._tasks)
        if waiting >= 2 * MOST_IN_FLIGHT:
            return  # refusals are not let pile up either
        serving = self._serve(ask) if waiting < MOST_IN_FLIGHT else self._refuse(ask)
        task = asyncio.get_running_loop().create_task(serving)
        self._tasks[ask.id] = task
        task.add_done_callback(lambda done: self._finished(ask.id, done))

    def _finished(self, number: int, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(number) is task:
            del self._tasks[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("answering a viewer failed", exc_info=error)

    async def close(self) -> None:
        """End every answer; returns when all have ended."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refuse(self, ask: _Ask) -> None:
        text = f"at most {MOST_IN_FLIGHT} requests at a time"
        await self._answer(ask.id, problem(429, "too-many", text))

    async def _serve(self, ask: _Ask) -> None:
        if ask.path is None:
            answer = problem(400, "bad-request", "path is missing")
        else:
            answer = await self._handle(
                Request(
                    ask.path,
                    self._locations,
                    ask.range,
                    ask.method,
                    role=self._role,
                    who=self._who,
                    if_range=ask.if_range,
                    if_none_match=ask.if_none_match,
                )
            )
            if isinstance(answer.body, Endless):
                answer = problem(400, "https-only", "this comes over HTTPS alone")
        try:
            await self._answer(ask.id, answer)
        except OSError as error:
            # The head promised bytes that the disk doesn't give: end the promise with the call.
            _log.error("a recording can't be read: %s", error)
        finally:
            answer.close()

    async def _answer(self, number: int, answer: Answer) -> None:
        head = {
            "id": number,
            "status": answer.status,
            "headers": answer.headers,
            "length": answer.length,
        }
        await self._send(msgspec.json.encode(head).decode())
        prefix = number.to_bytes(4)
        position = 0
        while position < (answer.length or 0):
            if isinstance(answer.body, bytes):
                block = answer.body[position : position + READ_BYTES]
            elif isinstance(answer.body, Endless):
                return
            else:
                block = await asyncio.to_thread(answer.body.read, position, READ_BYTES)
            if not block:
                raise OSError("a recording became shorter while it was sent")
            position += len(block)
            for start in range(0, len(block), PIECE_BYTES):
                await self._send(prefix + block[start : start + PIECE_BYTES])

    async def _send(self, data: str | bytes) -> None:
        """One message when there is room for it; answers take turns."""
        async with self._sending:
            if self._closed():
                raise asyncio.CancelledError
            if self._wire.bufferedAmount > HIGH_BYTES:
                self._drained.clear()
                await self._drained.wait()
            self._wire.send(data)
        # Without it aiortc's own tasks starve while a long answer is sent.
        await asyncio.sleep(0)
