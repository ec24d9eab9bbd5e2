"""One connection to storage: events in time, or a `SendError` that says why not."""

import asyncio
import errno
import fcntl
import struct
import termios

from ucam.rtsp.client import DurableUntil, Event, Failed, Publisher

# Without an answer and without a byte that arrived; on a slow line questions stand behind pictures.
ANSWER_TIMEOUT_S = 10.0
LONGEST_ANSWER_S = 60.0
# A line on which nothing arrives for so long, although something was written, may be cut.
STALLED_S = 1.0


class SendError(Exception):
    """Storage can't be used now; the text says why."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class RunOver(Exception):  # noqa: N818 - not an error: the next run wants its own session
    """What comes next in the spool doesn't follow what was announced."""


class Patience:
    """How long to wait for an answer: as long as what stands before the question arrives, within
    reason. No clock: times are arguments, in seconds.
    """

    def __init__(self) -> None:
        self._asked_s: float | None = None
        self._arrived = 0
        self._progress_s = float("-inf")

    def asked(self, now_s: float) -> None:
        """A question was written."""
        self._asked_s = now_s

    def answered(self) -> None:
        """The answer is there."""
        self._asked_s = None

    def saw_arrive(self, count: int, now_s: float) -> None:
        """So many bytes of this connection have arrived until now."""
        if count > self._arrived:
            self._arrived, self._progress_s = count, now_s

    def is_over(self, now_s: float) -> bool:
        """Whether to give up."""
        if self._asked_s is None:
            return False
        return (
            now_s - max(self._asked_s, self._progress_s) > ANSWER_TIMEOUT_S
            or now_s - self._asked_s > LONGEST_ANSWER_S
        )


class Connection:
    """One TLS connection with a `Publisher` on it."""

    def __init__(
        self, publisher: Publisher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.publisher = publisher
        self._reader = reader
        self.writer = writer
        # The transport forgets it when the connection breaks, which may have happened already.
        self._socket = writer.get_extra_info("socket")
        if self._socket is None:
            raise SendError("it hung up")
        self._patience = Patience()
        self.torn_down = False
        self._written = 0
        self._arrived = 0
        self._moving_s = 0.0

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        """Of the socket, where its kernel has that one; raises `OSError` when it is closed."""
        try:
            self._socket.setsockopt(level, option, value)
        except OSError as error:
            # Kernels that are imitated (qemu-user, gVisor) lack some: only speed was asked for.
            if error.errno != errno.ENOPROTOOPT:
                raise

    def write(self, data: bytes) -> None:
        """Write now or when the network takes it."""
        self._written += len(data)
        self.writer.write(data)

    def _unacknowledged(self) -> int:
        """Bytes that the kernel has and the peer hasn't (tcp(7), SIOCOUTQ)."""
        number = self._socket.fileno()
        if number < 0:  # closed
            return 0
        (count,) = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
        return int(count)

    def is_stalled(self, now_s: float) -> bool:
        """Whether what was written hasn't been arriving for a while. Ask several times a second."""
        waiting = self._waiting()
        if not waiting or self._written - waiting != self._arrived:
            self._arrived, self._moving_s = self._written - waiting, now_s
        return now_s - self._moving_s > STALLED_S

    def _waiting(self) -> int:
        """Bytes that were written and haven't arrived."""
        return self.writer.transport.get_write_buffer_size() + self._unacknowledged()

    async def events(self) -> list[Event]:
        """What storage says next; raises `SendError` when it hangs up or refuses."""
        data = await self._reader.read(65_536)
        if not data and self.torn_down:
            raise RunOver
        if not data:
            raise SendError("it hung up")
        found = self.publisher.receive(data)
        self.flush()
        for event in found:
            if isinstance(event, Failed):
                text = f"it refuses {event.step}: {event.status or ''} {event.text}"
                raise SendError(text, event.status)
            if isinstance(event, DurableUntil):
                self._patience.answered()
        return found

    async def wait_for(self, kind: type[Event]) -> Event:
        """The next event of that kind, within the time that an answer may take."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                for event in await self.events():
                    if isinstance(event, kind):
                        return event

    def ask(self) -> None:
        """Ask what is durable; raises `SendError` when the last question is too old."""
        now_s = asyncio.get_running_loop().time()
        self._patience.saw_arrive(self._written - self._waiting(), now_s)
        if self._patience.is_over(now_s):
            raise SendError("it doesn't answer")
        if self.publisher.ask_durable():
            self._patience.asked(now_s)
        self.flush()

    def flush(self) -> None:
        """Write what the protocol wants to say."""
        if data := self.publisher.data_to_send():
            self.write(data)
