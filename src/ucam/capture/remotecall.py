"""The camera's end of one call, whose other end is a process (see `callprocess`)."""

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ucam.capture import gdp
from ucam.capture.callhost import CallHost
from ucam.capture.callmessages import (
    MAX_BYTES,
    Answer,
    Candidate,
    Connected,
    Ended,
    Heard,
    KeyframeWanted,
    Offer,
    Setup,
    Started,
    Stop,
    ToCall,
    decode_from_call,
    encode,
)
from ucam.capture.callsdp import marked_offer, unmarked_answer
from ucam.capture.coded import Coded, Format, Picture

_log = logging.getLogger(__name__)
# A viewer whose network takes less than is captured: more than this is not kept for him.
MAX_WAITING_BYTES = 1_000_000
# Pictures that wait for the connection and are older than this would come as a burst of the past:
# a fresh keyframe is there sooner.
MAX_HELD_NS = 1_000_000_000
MAX_CANDIDATES = 100
# Pictures that are replayed to a new viewer follow each other this fast: he catches up at once.
REPLAY_STEP_NS = 1_000_000
# After the camera's start, a Pi 2 may need this for the host of calls.
HOST_WITHIN_S = 20.0
# A process that was asked to end and is still there is killed.
END_WITHIN_S = 1.2


@dataclass(frozen=True, slots=True)
class CallHandlers:
    """What the owner does on the events of a call; all in the loop.

    `answered`: the connection is on its way, and a keyframe had better be.

    `offer` gets an SDP, `candidate` its text and m-line number, `ended` a sentence (once).
    """

    offer: Callable[[str], None]
    candidate: Callable[[str, int], None]
    answered: Callable[[], None]
    connected: Callable[[], None]
    keyframe_wanted: Callable[[], None]
    ended: Callable[[str], None]


class _Pipe(asyncio.Protocol):
    """One medium on its way to a call; what waits in it is bounded by who writes."""

    def __init__(self) -> None:
        self.transport: asyncio.WriteTransport | None = None
        self._format: Format | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def write(self, coded: Coded, packet: bytes) -> bool:
        """False when too much waits already, and nothing was written."""
        pipe = self.transport
        if pipe is None or pipe.get_write_buffer_size() > MAX_WAITING_BYTES:
            return False
        if coded.format is not self._format:
            caps = coded.format.caps
            begin = gdp.beginning if self._format is None else gdp.new_caps
            pipe.write(begin(caps))
            self._format = coded.format
        pipe.write(packet)
        return True


def _same(pipe: _Pipe) -> _Pipe:
    return pipe


class RemoteCall:
    """One viewer's call: `start`, then `picture` and `sound` for all that is captured, and always
    `stop`.
    """

    def __init__(self, host: CallHost, setup: Setup, handlers: CallHandlers) -> None:
        self._loop = asyncio.get_running_loop()
        self._handlers = handlers
        self._control, self._ends = host.begin(setup)
        self._gone = asyncio.Event()
        self._over = False
        self._pid: int | None = None
        self._pictures = _Pipe()
        self._sounds = _Pipe()
        self._needs_keyframe = True
        self._held: list[tuple[Picture, bytes]] = []
        self._candidates = 0
        self._mark = secrets.token_hex(4)
        self._answered = False
        self.connected = False
        # The viewer's time runs from when the process is there.
        self.heard_at_s = self._loop.time() + HOST_WITHIN_S
        self._loop.add_reader(self._control, self._read)

    async def start(self) -> None:
        """Connect the pipes; the offer comes by itself."""
        for pipe, end in zip((self._pictures, self._sounds), self._ends, strict=False):
            await self._loop.create_unix_connection(partial(_same, pipe), sock=end)

    async def stop(self) -> None:
        """End the process; nothing is called back afterwards."""
        self._over = True
        self._say(Stop())
        for pipe in (self._pictures, self._sounds):
            if pipe.transport is not None:
                pipe.transport.abort()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await self._gone.wait()
        except TimeoutError:
            if self._pid is not None:
                _log.warning("a call's process hangs, and is killed")
                # It holds the other end of our socket: the number is still its own.
                os.kill(self._pid, signal.SIGKILL)
        finally:
            self._loop.remove_reader(self._control)
            self._control.close()
            for end in self._ends:
                end.close()

    def answer(self, sdp: str) -> None:
        """The viewer's answer; what is none ends the call. One to an offer of before a restart,
        which was still on its way, is passed over: with it, the real one would never be taken.
        """
        own = unmarked_answer(sdp, self._mark)
        if own is not None and not self._answered:
            self._answered = True
            self._say(Answer(own))
            self._handlers.answered()

    def candidate(self, text: str, line: int | None) -> None:
        """A candidate of the viewer; what is none is passed over, too many end the call."""
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            self._end("too many ICE candidates")
        else:
            self._say(Candidate(text, line))

    def release(self) -> None:
        """Send what was captured just before the connection, from a keyframe on."""
        held, self._held = self._held, []
        for picture, packet in held:
            self._push(picture, packet)

    def replay(self, pictures: list[Picture]) -> None:
        """Begin with pictures of the past (from a keyframe), squeezed into the last moments."""
        self._held.clear()
        for left, picture in zip(range(len(pictures), 0, -1), pictures, strict=True):
            pts_ns = pictures[-1].clock_ns - (left - 1) * REPLAY_STEP_NS
            self._push(picture, gdp.buffer(picture.data, pts_ns, delta=not picture.keyframe))

    def picture(self, picture: Picture, packet: bytes) -> None:
        """A picture as it is captured; `packet`: as `gdp` writes it."""
        if self.connected:
            self._push(picture, packet)
        else:
            self._hold(picture, packet)

    def sound(self, sound: Coded, packet: bytes) -> None:
        """Sound as it is captured; what finds no room is left out."""
        if self.connected:
            self._sounds.write(sound, packet)

    def _hold(self, picture: Picture, packet: bytes) -> None:
        held = self._held
        if held and (
            picture.keyframe
            or picture.clock_ns - held[0][0].clock_ns > MAX_HELD_NS
            or sum(len(one) for _, one in held) > MAX_WAITING_BYTES
        ):
            held.clear()
        if picture.keyframe or held:
            held.append((picture, packet))

    def _push(self, picture: Picture, packet: bytes) -> None:
        if self._over or (self._needs_keyframe and not picture.keyframe):
            return
        self._needs_keyframe = not self._pictures.write(picture, packet)
        if self._needs_keyframe:
            # What is dropped is missed by the pictures after it: go on with a keyframe.
            self._handlers.keyframe_wanted()

    def _say(self, message: ToCall) -> None:
        try:
            self._control.send(encode(message))
        except OSError as error:
            self._end(f"the call's process doesn't listen ({error.strerror})")

    def _read(self) -> None:
        try:
            data = self._control.recv(MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control)
            self._gone.set()
            self._end("the call broke off")
            return
        try:
            message = decode_from_call(data)
        except ValueError:  # msgspec's, and of what is no UTF-8
            self._end("the call's process talks nonsense")
            return
        if isinstance(message, Started):
            self._pid = message.pid
            self.heard_at_s = self._loop.time()
        if self._over:
            return
        match message:
            case Offer(sdp):
                # What came before was our own slowness.
                self.heard_at_s = self._loop.time()
                self._handlers.offer(marked_offer(sdp, self._mark))
            case Candidate(text, line):
                self._handlers.candidate(text, line or 0)
            case Connected():
                self.connected = True
                self._handlers.connected()
            case KeyframeWanted():
                self._handlers.keyframe_wanted()
            case Heard():
                self.heard_at_s = self._loop.time()
            case Ended(reason):
                self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._handlers.ended(reason)
