"""The host of calls: a real process, and forks of it."""

import asyncio
import os
import socket

import pytest

from support.viewers import call_host, call_processes
from ucam.capture.callhost import CallHost
from ucam.capture.callmessages import MAX_BYTES, Offer, Setup, Started, decode_from_call

SETUP = Setup(codec="h264", profile_level_id="42c01f")


async def hear(control: socket.socket) -> object:
    async with asyncio.timeout(40):
        return decode_from_call(await asyncio.get_running_loop().sock_recv(control, MAX_BYTES))


async def until_no_call() -> None:
    async with asyncio.timeout(40):
        while call_processes(os.getpid()):
            await asyncio.sleep(0.01)


async def test_a_call_is_a_fork_that_ends_with_its_control_socket() -> None:
    host = CallHost()
    with pytest.raises(ConnectionError, match="can't be taken just now"):
        host.begin(SETUP)
    task = asyncio.create_task(host.run())
    try:
        async with asyncio.timeout(40):
            while host._socket is None:
                await asyncio.sleep(0.01)
        files = len(os.listdir("/proc/self/fd"))
        control, (pictures,) = host.begin(SETUP)
        started = await hear(control)
        assert isinstance(started, Started)
        assert call_processes(os.getpid()) == [started.pid]
        offer = await hear(control)
        assert isinstance(offer, Offer)
        assert "profile-level-id=42c01f" in offer.sdp
        control.close()
        pictures.close()
        await until_no_call()
        assert len(os.listdir("/proc/self/fd")) == files
        assert call_host(os.getpid())
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(ConnectionError):
        host.begin(SETUP)
