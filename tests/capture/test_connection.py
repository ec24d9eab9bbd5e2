import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ucam.capture.connection import Connection, Patience
from ucam.rtsp.client import Publisher
from ucam.storage.tls import make_certificate, server_context


def test_a_slow_line_is_no_dead_one() -> None:
    patience = Patience()
    assert not patience.is_over(1000)  # nothing was asked
    patience.asked(100)
    for now_s in range(100, 150):
        patience.saw_arrive(now_s * 1000, now_s)
        assert not patience.is_over(now_s + 9)
    assert patience.is_over(161)  # an answer that never comes is missed all the same
    patience.answered()
    patience.asked(200)
    patience.saw_arrive(160_000, 205)
    patience.saw_arrive(160_000, 209)
    assert not patience.is_over(214)
    assert patience.is_over(216)


async def test_a_connection_that_broke_is_looked_at_without_harm(tmp_path: Path) -> None:
    """Its transport forgets its socket at once, and others may look before the sender notices."""
    cert, key = make_certificate("test", datetime.now(UTC))
    (tmp_path / "cert").write_bytes(cert)
    (tmp_path / "key").write_bytes(key)

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = server_context(tmp_path / "cert", tmp_path / "key")
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        connection = Connection(Publisher("rtsps://x/cam@x.y", "token"), reader, writer)
        connection.write(b"something")
        async with asyncio.timeout(10):
            while writer.get_extra_info("socket") is not None:
                await asyncio.sleep(0.01)
        assert connection.is_stalled(1000) in (True, False)
        with pytest.raises(OSError, match="Bad file descriptor"):
            connection.set_option(6, 1, 1)


async def test_an_option_that_this_kernel_lacks_is_done_without() -> None:
    """As TCP_NOTSENT_LOWAT under qemu-user."""
    async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        with pytest.raises(OSError, match="Protocol not available"):
            writer.get_extra_info("socket").setsockopt(6, 9999, 1)
        Connection(Publisher("rtsps://x/cam@x.y", "token"), reader, writer).set_option(6, 9999, 1)
        writer.close()
        await writer.wait_closed()
