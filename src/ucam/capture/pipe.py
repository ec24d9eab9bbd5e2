"""The end of a pipeline's pipe where its pictures come out, read in the loop.

While somebody watches, each picture is read when it comes. While nobody does, they are read a few
times a second, all that have come meanwhile: on a small processor waking up costs more than a
picture, and whoever records has time.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable

from ucam.capture import gdp
from ucam.media.errors import MediaError

# As much as Linux gives to anybody: when the loop is away for longer, the source waits.
PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 16
MAX_ITEM_BYTES = 1 << 26
# How long pictures wait in the pipe at most: what a camera that loses its power takes with it.
PATIENCE_S = 0.2
# So much in one look is a source for which the pipe would soon be too small.
MUCH_BYTES = PIPE_BYTES // 4


class Pipe:
    """Reads `reading` and hands on packets by `take`; what can't be read ends by `broken`.

    `waited_for`: whether somebody wants them at once.
    """

    def __init__(
        self,
        reading: int,
        take: Callable[[gdp.Packet], None],
        broken: Callable[[str], None],
        waited_for: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._reading = reading
        self._take = take
        self._broken = broken
        self._waited_for = waited_for
        self._parser = gdp.Parser(MAX_ITEM_BYTES)
        self._later: asyncio.TimerHandle | None = None
        self._stopped = False
        # Of a small pipe, where a user may have no large one, the source would have to wait.
        self._is_large = fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) >= PIPE_BYTES
        self._loop.add_reader(reading, self._look)

    def hurry(self) -> None:
        """Somebody waits from now on."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
            self._loop.add_reader(self._reading, self._look)

    def stop(self) -> None:
        """Read no more; the descriptor stays open."""
        if not self._stopped:
            self._stopped = True
            if self._later is not None:
                self._later.cancel()
            self._loop.remove_reader(self._reading)

    def read(self) -> int:
        """Hand on all that is there; how many bytes that were."""
        total = 0
        while not self._stopped:
            try:
                data = os.read(self._reading, READ_BYTES)
                total += len(data)
                for found in self._parser.feed(data):
                    self._take(found)
            except BlockingIOError:
                break
            except (gdp.Broken, MediaError) as error:
                self._broken(f"what it gives can't be understood: {error}")
                self.stop()
            if len(data) < READ_BYTES:
                break
        return total

    def _look(self) -> None:
        calm = self.read() < MUCH_BYTES and self._is_large and not self._waited_for()
        if self._stopped:
            return
        if calm:
            if self._later is None:
                self._loop.remove_reader(self._reading)
            self._later = self._loop.call_later(PATIENCE_S, self._look)
        elif self._later is not None:
            self._later = None
            self._loop.add_reader(self._reading, self._look)


def new_pipe() -> tuple[int, int]:
    """To read, and to write."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        # fdsink waits by poll, which a stop ends; a write that waits would never end.
        os.set_blocking(end, False)
    with contextlib.suppress(OSError):  # a user may have so many large ones
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reading, writing
