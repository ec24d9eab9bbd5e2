"""A camera without its pictures: spool, RTP, TLS, as `ucam capture` has them, for instruction
counts where no camera is: `python -m bench.camera_side CLIP TOKEN_FILE URL FINGERPRINT COUNT`.

Sends so many coded pictures, 30 a second, and ends when storage has confirmed them.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from ucam.base.jid import JID
from ucam.capture import address
from ucam.capture.address import Address
from ucam.capture.connection import Connection
from ucam.capture.run import Run
from ucam.capture.sender import Sender
from ucam.capture.spool import Spool
from ucam.device.token import TokenStore
from ucam.media.access_unit import AccessUnit
from ucam.media.track import VideoTrack

RATE = 30
MEMORY = 64_000_000


def no_aes() -> bool:
    """/proc/cpuinfo is the host's; the processor that is played has no AES."""
    return False


def no_option(*_: object) -> None:
    """qemu's user mode refuses TCP_NOTSENT_LOWAT."""


async def main(clip: str, token_file: str, url: str, fingerprint: str, count: str) -> None:
    """Capture, and send."""
    told = json.loads(Path(clip).read_text())
    run = Run(VideoTrack.h264(tuple(map(bytes.fromhex, told["sets"]))))
    units = [(bytes.fromhex(data), keyframe) for data, keyframe in told["units"]]
    spool = Spool(MEMORY)
    tokens = TokenStore(Path(token_file), None)
    where = Address.parse(url, fingerprint)
    sender = Sender(JID(tokens.life.subject), tokens, spool, lambda: where, lambda: None)
    sending = asyncio.ensure_future(sender.run())
    began = time.monotonic()
    for number in range(int(count)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        data, keyframe = units[number % len(units)]
        pts = number * 90_000 // RATE
        spool.append(run, AccessUnit(data, pts, time.time_ns() // 1000, keyframe, number))
    await sender.finish(60)
    if spool.unconfirmed:
        sys.exit("storage hasn't confirmed everything")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


if __name__ == "__main__":
    Connection.set_option = no_option  # type: ignore[assignment,method-assign]
    address.has_aes_instructions = no_aes  # type: ignore[assignment]
    asyncio.run(main(*sys.argv[1:6]))
