"""A viewer in the test's own process (aiortc): for those who want to misbehave below the words."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from websockets.asyncio.client import ClientConnection, connect

from support.site import Site
from ucam.protocol.messages import (
    AnswerMedia,
    IceCandidate,
    OfferMedia,
    RequestMedia,
    Welcome,
    decode,
    encode,
)

KNOWN_PROFILE = "42e01f"  # that aiortc takes; what we send isn't looked at


@asynccontextmanager
async def in_room(site: Site, token: str) -> AsyncIterator[tuple[ClientConnection, Welcome]]:
    """A connection to the room, as a page has it."""
    headers = {"Authorization": f"Bearer {token}", "Origin": site.url}
    url = site.url.replace("http", "ws", 1) + "/ws"
    async with connect(url, additional_headers=headers) as socket:
        welcome = decode(await socket.recv(), 4 << 20)
        assert isinstance(welcome, Welcome)
        yield socket, welcome


async def call(
    socket: ClientConnection, welcome: Welcome, peer: RTCPeerConnection, device: str, kind: str
) -> None:
    """Ask a device (by the beginning of its JID) for a call and answer its offer; returns when the
    connection stands.
    """
    jid = next(each.jid for each in welcome.roster if each.jid.startswith(device))
    request = RequestMedia(to=jid, call="r", kind="live" if kind == "live" else "recordings")
    await socket.send(encode(request))
    stands = asyncio.Event()

    @peer.on("connectionstatechange")
    def changed() -> None:
        if peer.connectionState == "connected":
            stands.set()

    async def listen() -> None:
        async for text in socket:
            match decode(text, 1 << 20):
                case OfferMedia(call="r", sdp=str(sdp)):
                    answer = await _answer(peer, sdp)
                    await socket.send(encode(AnswerMedia(to=jid, call="r", sdp=answer)))
                case OfferMedia(call="r", ice=IceCandidate(candidate=str(line))) if line:
                    found = candidate_from_sdp(line.removeprefix("candidate:"))
                    found.sdpMLineIndex = 0
                    await peer.addIceCandidate(found)

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(40):
        await stands.wait()
    listening.cancel()


async def _answer(peer: RTCPeerConnection, offer: str) -> str:
    profile = re.search("profile-level-id=([0-9a-f]{6})", offer)
    offer = re.sub("profile-level-id=[0-9a-f]{6}", f"profile-level-id={KNOWN_PROFILE}", offer)
    if profile:
        # aiortc as a DTLS client knows ECDSA alone, and GStreamer's certificate is RSA.
        offer = offer.replace("a=setup:actpass", "a=setup:active")
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    answer = peer.localDescription.sdp
    return answer.replace(KNOWN_PROFILE, profile[1]) if profile else answer
