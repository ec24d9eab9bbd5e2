"""The process that calls are forked from, kept alive (see `callprocess`)."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from asyncio.subprocess import Process

from ucam.base.backoff import Backoff
from ucam.capture.callmessages import Setup, encode

_log = logging.getLogger(__name__)


class CallHost:
    """Keeps the host's process alive; `run` it, then `begin` calls."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(first_s=0.5, longest_s=30)
        while True:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with ours:
                ours.setblocking(False)
                with theirs:
                    process = await _start(theirs)
                self._socket = ours
                try:
                    status = await process.wait()
                finally:
                    self._socket = None
                    ours.close()  # it ends at that
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await asyncio.shield(process.wait())
            delay_s = backoff.next_delay_s()
            _log.error("the host of calls ended (%d); next try in %.1f s", status, delay_s)
            await asyncio.sleep(delay_s)

    def begin(self, setup: Setup) -> tuple[socket.socket, list[socket.socket]]:
        """A new process: our ends of its control socket and of the pipes of its media. Raises
        `OSError` when there can be none now.
        """
        if self._socket is None:
            raise ConnectionError("calls can't be taken just now")
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]
        pairs += [socket.socketpair() for _ in range(2 if setup.sound else 1)]
        ours = [pair[0] for pair in pairs]
        try:
            theirs = [pair[1].fileno() for pair in pairs]
            socket.send_fds(self._socket, [encode(setup)], theirs)
        except OSError:
            for end in ours:
                end.close()
            raise
        finally:
            for pair in pairs:
                pair[1].close()
        for end in ours:
            end.setblocking(False)
        return ours[0], ours[1:]


async def _start(end: socket.socket) -> Process:
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ucam.capture.callprocess", str(end.fileno())),
        pass_fds=(end.fileno(),),
        stdin=asyncio.subprocess.DEVNULL,
        env=environment,
    )
