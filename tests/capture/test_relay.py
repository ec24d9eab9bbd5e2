"""Calls that can go by TURN alone, at both ends: coturn between them."""

import asyncio
import base64
import hashlib
import hmac
import time
from pathlib import Path

import pytest

from capture.test_calls import VIDEO, gone
from capture.viewer import Device
from support.gst_viewer import Receiver
from support.relay import SECRET, relay
from ucam.capture.callsdp import ice_setup
from ucam.protocol.messages import (
    AnswerMedia,
    EndMedia,
    IceServer,
    OfferMedia,
)

pytestmark = pytest.mark.interop
JID = "owner@example.com/page"


def credentials(server: str, name: str, secret: str = SECRET) -> IceServer:
    """As the web application makes them (see ucam.web.ice)."""
    user = f"{int(time.time()) + 600}:{name}"
    digest = hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()
    urls = (f"turn:{server}?transport=udp",)
    return IceServer(urls=urls, username=user, credential=base64.b64encode(digest).decode())


async def watch(device: Device, receiver: Receiver, frames: int) -> None:
    device.request()
    async with asyncio.timeout(60):
        while receiver.frames < frames:
            message = await device.outbox.get() if not device.outbox.empty() else None
            match message:
                case OfferMedia(sdp=str(sdp)):
                    receiver.offer(sdp)
                case OfferMedia(ice=ice) if ice is not None:
                    assert " typ relay" in ice.candidate, "the device shows no other way"
                    receiver.candidate(ice.candidate, ice.sdp_m_line_index or 0)
                case EndMedia(reason=reason):
                    raise ConnectionError(reason)
                case _:
                    await asyncio.sleep(0.02)


def receiver_for(device: Device, server: IceServer) -> Receiver:
    def say(part: dict[str, object]) -> None:
        device.calls.answer(AnswerMedia(to="x", call="c1", from_=JID, **part))  # type: ignore[arg-type]

    return Receiver(ice_setup([server], relay_only=True), say, loss=0)


async def test_relayed_at_both_ends(tmp_path: Path) -> None:
    with relay(tmp_path) as server:
        async with Device(VIDEO) as device:
            device.calls.ice_servers = (credentials(server, "cam001@studio.loc"),)
            device.calls.relay_only = True
            receiver = receiver_for(device, credentials(server, "owner@example.com"))
            try:
                await watch(device, receiver, 30)
                assert receiver.lost == 0
            finally:
                device.calls.peer_gone(JID)
                await gone(device)
                receiver.stop()
    log = (tmp_path / "turnserver.log").read_text(errors="replace")
    assert log.count("ALLOCATE processed, success") >= 2, "one for each end"


async def test_without_good_credentials_there_is_no_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ucam.capture.calls.SILENCE_S", 3.0)
    with relay(tmp_path) as server:
        async with Device(VIDEO) as device:
            device.calls.ice_servers = (credentials(server, "cam001@studio.loc", "another"),)
            device.calls.relay_only = True
            receiver = receiver_for(device, credentials(server, "owner@example.com"))
            try:
                with pytest.raises(ConnectionError):
                    await watch(device, receiver, 1)
                await gone(device)
            finally:
                receiver.stop()
