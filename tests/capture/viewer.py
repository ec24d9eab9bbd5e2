"""A viewer that isn't ours: aiortc, over a room of two callbacks."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame

from ucam.capture.calls import Calls
from ucam.capture.camera import Camera, Captured
from ucam.capture.config import Video
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    EndMedia,
    OfferMedia,
    RequestMedia,
    decode,
    encode,
)


@dataclass
class Device:
    """A camera with its calls; `outbox` holds what it says to the room."""

    video: Video
    max_viewers: int = 8
    outbox: "asyncio.Queue[AnyMessage]" = field(default_factory=asyncio.Queue)
    captured: int = 0

    def __post_init__(self) -> None:
        self.camera = Camera(self.video, self._on_captured)
        self.calls = Calls(
            max_viewers=self.max_viewers,
            send=lambda message: self.outbox.put_nowait(decode(encode(message))),
            force_keyframe=self.camera.force_keyframe,
            changed=lambda: None,
        )

    def _on_captured(self, captured: Captured) -> None:
        self.calls.replays = self.camera.replays
        if captured.unit.audio:
            self.calls.hear(captured)
            return
        self.captured += 1
        self.calls.push(captured)

    def request(self, call: str = "c1", jid: str = "owner@example.com/page") -> None:
        message = RequestMedia(to="cam001@studio.loc", call=call, kind="live", from_=jid)
        self.calls.request(message, self.camera.run_now, self.camera.fault)

    async def said(self, kind: type[AnyMessage], limit_s: float = 40) -> AnyMessage:
        """The next message of that kind."""
        async with asyncio.timeout(limit_s):
            while True:
                message = await self.outbox.get()
                if isinstance(message, kind):
                    return message

    async def until(self, seen: int, limit_s: float = 40) -> None:
        """Wait until so many access units were captured."""
        async with asyncio.timeout(limit_s):
            while self.captured < seen:
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> "Device":
        self._tasks = [
            asyncio.create_task(self.camera.run()),
            asyncio.create_task(self.calls.run()),
        ]
        await self.until(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Viewer:
    """Answers one offer and decodes what comes."""

    def __init__(
        self, device: Device, call: str = "c1", jid: str = "owner@example.com/page"
    ) -> None:
        self.device, self.call, self.jid = device, call, jid
        self.peer = RTCPeerConnection()
        self.track: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.offer = ""

        @self.peer.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            self.track.set_result(track)

    async def connect(self, *, answers: bool = True) -> None:
        """Request, answer, trickle; until the device has said all its candidates. `answers`:
        whether the offer is answered now, or by `answer`.
        """
        self.device.request(self.call, self.jid)
        while not self.offer:
            offer = await self.device.said(OfferMedia)
            assert isinstance(offer, OfferMedia)
            assert (offer.to, offer.call) == (self.jid, self.call)
            self.offer = offer.sdp or ""  # of the call before it there may be candidates
        if answers:
            await self.answer()

    async def answer(self) -> None:
        """Answer the offer, and trickle."""
        # aiortc as a DTLS client knows ECDSA alone, and GStreamer 1.22's certificate is RSA: let it
        # be the server. (Browsers know both.)
        sdp = self.offer.replace("a=setup:actpass", "a=setup:active")
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        answer = AnswerMedia(
            to="x", call=self.call, sdp=self.peer.localDescription.sdp, from_=self.jid
        )
        self.device.calls.answer(answer)
        self._trickle = asyncio.create_task(self._take_candidates())

    async def _take_candidates(self) -> None:
        while True:
            message = await self.device.outbox.get()
            if isinstance(message, EndMedia):
                self.device.outbox.put_nowait(message)
                if message.call == self.call:
                    self.ended.set_result(message.reason)
                return
            if not isinstance(message, OfferMedia) or message.ice is None:
                continue
            candidate = candidate_from_sdp(message.ice.candidate.removeprefix("candidate:"))
            candidate.sdpMLineIndex = message.ice.sdp_m_line_index
            candidate.sdpMid = self.peer.getTransceivers()[0].mid
            await self.peer.addIceCandidate(candidate)

    async def frame(self, limit_s: float = 40) -> VideoFrame:
        """The next decoded picture."""
        coming: asyncio.Future[Any] = asyncio.ensure_future(self._receive())
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.wait([coming, self.ended], return_when=asyncio.FIRST_COMPLETED)
            assert coming.done(), f"the camera ended the call: {self.ended.result()}"
        finally:
            coming.cancel()
        frame = coming.result()
        assert isinstance(frame, VideoFrame)
        return frame

    async def _receive(self) -> Any:
        return await (await self.track).recv()

    async def close(self) -> None:
        self._trickle.cancel()
        await asyncio.gather(self._trickle, return_exceptions=True)
        await self.peer.close()
