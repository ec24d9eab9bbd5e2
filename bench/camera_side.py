"""A camera without its pictures: pipe, spool, RTP, TLS, as `ucam capture` has them, for instruction
counts where no camera is: `python -m bench.camera_side SETS TOKEN_FILE URL FINGERPRINT COUNT`.

So many coded pictures come by standard input, as GStreamer would write them (GDP), in their own
time, from when it says that it is there; it ends when storage has confirmed them. SETS: the
parameter sets, as JSON.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from ucam.base.jid import JID
from ucam.capture import address, gdp
from ucam.capture.address import Address
from ucam.capture.connection import Connection
from ucam.capture.pipe import Pipe
from ucam.capture.run import Run
from ucam.capture.sender import Sender
from ucam.capture.spool import Spool
from ucam.device.token import TokenStore
from ucam.media.access_unit import AccessUnit
from ucam.media.h264 import is_whole
from ucam.media.track import VideoTrack

MEMORY = 64_000_000


def no_aes() -> bool:
    """/proc/cpuinfo is the host's; the processor that is played has no AES."""
    return False


def no_option(*_: object) -> None:
    """qemu's user mode refuses TCP_NOTSENT_LOWAT."""


def nobody() -> bool:
    """Who watches."""
    return False


async def main(sets: str, token_file: str, url: str, fingerprint: str, count: str) -> None:
    """Capture, and send."""
    run = Run(VideoTrack.h264(tuple(map(bytes.fromhex, json.loads(Path(sets).read_text())))))
    spool = Spool(MEMORY)
    tokens = TokenStore(Path(token_file), None)
    where = Address.parse(url, fingerprint)
    sender = Sender(JID(tokens.life.subject), tokens, spool, lambda: where, lambda: None)
    sending = asyncio.ensure_future(sender.run())
    whole = asyncio.Event()
    offset_us, number = time.time_ns() // 1000 - time.monotonic_ns() // 1000, 0

    def take(packet: gdp.Packet) -> None:
        nonlocal number
        match packet:
            case gdp.Buffer(data, int(pts_ns), delta) if is_whole(data):
                pts, utc_us = pts_ns * 9 // 100_000, pts_ns // 1000 + offset_us
                spool.append(run, AccessUnit(data, pts, utc_us, not delta, number))
        number += 1
        if number == int(count):
            whole.set()

    os.set_blocking(0, False)
    pipe = Pipe(0, take, sys.exit, nobody)
    print("here", flush=True)
    await whole.wait()
    pipe.stop()
    await sender.finish(60)
    if spool.unconfirmed:
        sys.exit("storage hasn't confirmed everything")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


if __name__ == "__main__":
    Connection.set_option = no_option  # type: ignore[assignment,method-assign]
    address.has_aes_instructions = no_aes  # type: ignore[assignment]
    asyncio.run(main(*sys.argv[1:6]))
