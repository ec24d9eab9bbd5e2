"""The processes of calls: a host that has everything loaded, and a fork of it for each call.

`python -m ucam.capture.callprocess FD`: the host. On the datagram socket FD come `Setup`s, each
with the descriptors of a call: its control socket, the pipe of its pictures, that of its sound. A
call that crashes, hangs or is taken over by its viewer has nothing of the camera's in its hands;
what it held is given back by the kernel when it ends. Starting Python and GStreamer anew for each
call would take too long, a fork takes milliseconds.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from ucam.capture.call import Call, load
from ucam.capture.callmessages import (
    MAX_BYTES,
    Ended,
    FromCall,
    Started,
    Stop,
    decode_setup,
    decode_to_call,
    encode,
)

_log = logging.getLogger(__name__)
MAX_DESCRIPTORS = 3
# Recording comes first.
NICENESS = 2
# A call that can't be taken down in this time is killed by the kernel.
LONGEST_STOP_S = 1


def main() -> None:
    """The host: forks a process for each call until the camera is gone."""
    logging.basicConfig(level=logging.WARNING, format="call: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the camera's to answer
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    host = socket.socket(fileno=int(sys.argv[1]))
    _name("ucam-calls")
    load()
    while True:
        data, descriptors, _, _ = socket.recv_fds(host, MAX_BYTES, MAX_DESCRIPTORS)
        if not data:
            return
        if os.fork() == 0:
            host.close()
            _run(data, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _run(data: bytes, descriptors: list[int]) -> None:
    """In the fork: doesn't return."""
    try:
        _name("ucam-call")
        os.nice(NICENESS)
        asyncio.run(_live(data, descriptors))
    except Exception:  # noqa: BLE001 - the top of a process
        _log.exception("failed")
    finally:
        os._exit(1)


async def _live(data: bytes, descriptors: list[int]) -> None:
    loop = asyncio.get_running_loop()
    control = socket.socket(fileno=descriptors[0])
    control.setblocking(False)
    over = asyncio.Event()

    def say(message: FromCall) -> None:
        try:
            control.send(encode(message))
        except OSError:  # the camera is gone, or doesn't listen
            over.set()

    setup = decode_setup(data)
    say(Started(os.getpid()))
    sound = descriptors[2] if setup.sound else None
    call = Call(setup, descriptors[1], sound, say)

    def hear() -> None:
        try:
            message = control.recv(MAX_BYTES)
            said = decode_to_call(message) if message else Stop()
        except BlockingIOError:
            return
        except (OSError, msgspec.DecodeError):
            said = Stop()
        if isinstance(said, Stop):
            loop.remove_reader(control)
            over.set()
        else:
            call.take(said)

    loop.add_reader(control, hear)
    try:
        await call.start()
        await over.wait()
    except Exception:
        say(Ended("the camera failed in this call"))
        raise
    signal.alarm(LONGEST_STOP_S)
    await call.stop()
    # At once: nothing is worth the time that GStreamer's threads take to end.
    os._exit(0)


def _name(name: str) -> None:
    """What `ps` and `top` call this process."""
    Path("/proc/self/comm").write_text(name)


if __name__ == "__main__":
    main()
