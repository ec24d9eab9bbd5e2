"""Two ends of an SCTP association over a path in memory, on virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from aiortc import RTCDataChannel, RTCDtlsTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import Chunk, DataChunk, RTCSctpTransport

from support.link import Link
from ucam.storage.playback.sctp import Transport

WIRE_BYTES = 57  # DTLS, UDP and IP around an SCTP packet


@dataclass
class Dtls:
    """One end's DTLS: what it sends comes out of the link at the other end."""

    link: Link
    role: str
    state: str = "connected"
    drop: Callable[[bytes], bool] = lambda _data: False
    other: "Dtls | None" = None
    receiver: RTCSctpTransport | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def _role(self) -> str:
        return self.role

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver: RTCSctpTransport) -> None:
        if self.receiver is receiver:
            self.receiver = None

    async def _send_data(self, data: bytes) -> None:
        if self.state != "connected":
            raise ConnectionError("not connected")
        loop = asyncio.get_running_loop()
        out = None if self.drop(data) else self.link.enter(loop.time(), len(data) + WIRE_BYTES)
        if out is not None and self.other is not None:
            loop.call_at(out, self.other.receive, data)

    def receive(self, data: bytes) -> None:
        if self.receiver is not None:
            task = asyncio.get_running_loop().create_task(self.receiver._handle_data(data))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)


class Counting(Transport):
    """Counts what it sends."""

    data_chunks = 0
    resent = 0

    async def _send_chunk(self, chunk: Chunk) -> None:
        if isinstance(chunk, DataChunk):
            self.data_chunks += 1
            self.resent += chunk._sent_count > 1
        await super()._send_chunk(chunk)


@dataclass
class Pair:
    """`near` sends as storage does, `far` is aiortc as it is; `wire` is near's channel."""

    near: Counting
    far: RTCSctpTransport
    near_dtls: Dtls
    far_dtls: Dtls
    wire: RTCDataChannel
    received: "asyncio.Queue[str | bytes]"
    far_wire: "asyncio.Future[RTCDataChannel]"

    async def close(self) -> None:
        await self.near.stop()
        await self.far.stop()


async def connect(there: Link, back: Link) -> Pair:
    """An association with one ordered channel, open at both ends."""
    near_dtls, far_dtls = Dtls(there, "client"), Dtls(back, "server")
    near_dtls.other, far_dtls.other = far_dtls, near_dtls
    near = Counting(cast(RTCDtlsTransport, near_dtls))
    far = RTCSctpTransport(cast(RTCDtlsTransport, far_dtls))
    received: asyncio.Queue[str | bytes] = asyncio.Queue()
    far_wire: asyncio.Future[RTCDataChannel] = asyncio.get_running_loop().create_future()

    def on_channel(channel: RTCDataChannel) -> None:
        channel.on("message", received.put_nowait)
        far_wire.set_result(channel)

    far.on("datachannel", on_channel)
    wire = RTCDataChannel(near, RTCDataChannelParameters(label="recordings"))
    opened = asyncio.Event()
    wire.on("open", opened.set)
    await near.start(far.getCapabilities(), far.port)
    await far.start(near.getCapabilities(), near.port)
    await opened.wait()
    await far_wire
    return Pair(near, far, near_dtls, far_dtls, wire, received, far_wire)


async def pour(pair: Pair, total: int, size: int = 16_236) -> float:
    """Send so many bytes as messages of `size`, never much queued; returns the virtual seconds."""
    loop = asyncio.get_running_loop()
    began, wanted = loop.time(), 0
    low = asyncio.Event()
    pair.wire.bufferedAmountLowThreshold = 65_536
    pair.wire.on("bufferedamountlow", low.set)
    got = asyncio.create_task(_receive(pair, total))
    while wanted < total:
        if pair.wire.bufferedAmount > 262_144:
            low.clear()
            await low.wait()
        pair.wire.send(bytes(min(size, total - wanted)))
        wanted += size
        await asyncio.sleep(0)
    await got
    return loop.time() - began


async def _receive(pair: Pair, total: int) -> None:
    got = 0
    while got < total:
        got += len(await pair.received.get())
