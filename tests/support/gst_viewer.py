"""Viewers that aren't ours and cost little: GStreamer's webrtcbin, without decoding.

`python -m support.gst_viewer < LINES`: the first line is a JSON object (`url`, `token`, `device`,
`calls`: their ids; `relay`: by TURN alone; `loss`: so much of what comes is thrown
away, from the first picture on). Then one
line a second is printed: of each call `state`, `frames`, `lost` (RTP packets missing), `sound`
(packets), `ended` (the reason). A line `begin ID` begins another call, `end ID` ends one, the end
of the input all.
"""

import asyncio
import contextlib
import json
import random
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ucam.capture.callsdp import IceSetup, ice_setup
from ucam.capture.gst import Gst, GstSdp, GstWebRTC
from ucam.protocol.messages import (
    AnswerMedia,
    EndMedia,
    IceCandidate,
    OfferMedia,
    RequestMedia,
    Welcome,
    decode,
    encode,
)

HEADER = 12


class Receiver:
    """One call: answers the offer, counts what comes."""

    def __init__(self, ice: IceSetup, say: Any, *, loss: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._say = say
        self._loss = loss
        self._sequence: int | None = None
        self._time: bytes | None = None
        self.frames = self.lost = self.sound = 0
        self.first_s: float | None = None
        self.ended: str | None = None
        self.pipeline = Gst.Pipeline.new(None)
        self.peer = Gst.ElementFactory.make("webrtcbin", None)
        self.peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.peer.set_property("latency", 100)
        if ice.relay_only:
            policy = GstWebRTC.WebRTCICETransportPolicy.RELAY
            self.peer.set_property("ice-transport-policy", policy)
        for server in ice.turn:
            assert self.peer.emit("add-turn-server", server)
        self.pipeline.add(self.peer)
        self.peer.connect("pad-added", self._on_pad)
        self.peer.connect("deep-element-added", self._on_element)
        self.peer.connect("on-ice-candidate", self._on_candidate)
        self.pipeline.set_state(Gst.State.PLAYING)

    @property
    def state(self) -> str:
        return str(self.peer.get_property("connection-state").value_nick)

    def offer(self, sdp: str) -> None:
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        kind = GstWebRTC.WebRTCSDPType.OFFER
        offer = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self.peer.emit("set-remote-description", offer, Gst.Promise.new())
        promise = Gst.Promise.new_with_change_func(self._on_answer, None)
        self.peer.emit("create-answer", None, promise)

    def candidate(self, text: str, line: int) -> None:
        self.peer.emit("add-ice-candidate", line, text)

    def stop(self) -> None:
        self.pipeline.set_state(Gst.State.NULL)

    # On GStreamer's threads.

    def _on_answer(self, promise: Any, _data: Any) -> None:
        reply = promise.get_reply()
        answer = reply.get_value("answer")
        self.peer.emit("set-local-description", answer, Gst.Promise.new())
        self._loop.call_soon_threadsafe(self._say, {"sdp": answer.sdp.as_text()})

    def _on_candidate(self, _peer: Any, line: int, text: str) -> None:
        ice = IceCandidate(candidate=text, sdp_mid=None, sdp_m_line_index=line)
        self._loop.call_soon_threadsafe(self._say, {"ice": ice})

    def _on_element(self, _bin: Any, _inner: Any, element: Any) -> None:
        factory = element.get_factory()
        if factory is not None and factory.get_name() == "nicesrc":
            element.get_property("agent").set_property("upnp", False)
            if self._loss:
                element.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self._lose)

    def _lose(self, _pad: Any, _info: Any) -> Any:
        lose = self.frames > 0 and random.random() < self._loss
        return Gst.PadProbeReturn.DROP if lose else Gst.PadProbeReturn.OK

    def _on_pad(self, _peer: Any, pad: Any) -> None:
        sink = Gst.ElementFactory.make("fakesink", None)
        sink.set_property("sync", False)
        sink.set_property("async", False)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))
        media = pad.get_current_caps().get_structure(0).get_string("media")
        pad.add_probe(
            Gst.PadProbeType.BUFFER, self._on_video if media == "video" else self._on_sound
        )

    def _on_video(self, _pad: Any, info: Any) -> Any:
        header = info.get_buffer().extract_dup(0, HEADER)
        sequence = int.from_bytes(header[2:4])
        if self._sequence is not None:
            self.lost += (sequence - self._sequence - 1) & 0xFFFF
        else:
            self._loop.call_soon_threadsafe(self._mark_first)
        self._sequence = sequence
        if header[4:8] != self._time:
            self._time = header[4:8]
            self.frames += 1
        return Gst.PadProbeReturn.OK

    def _mark_first(self) -> None:
        self.first_s = self._loop.time()

    def _on_sound(self, _pad: Any, _info: Any) -> Any:
        self.sound += 1
        return Gst.PadProbeReturn.OK


async def main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    wanted = json.loads(await lines.readline())
    headers = {"Authorization": f"Bearer {wanted['token']}", "Origin": wanted["url"]}
    url = wanted["url"].replace("http", "ws", 1) + "/ws"
    async with connect(url, additional_headers=headers) as socket, asyncio.TaskGroup() as tasks:
        welcome = decode(await socket.recv(), 1 << 20)
        assert isinstance(welcome, Welcome)
        device = next(p.jid for p in welcome.roster if p.jid.startswith(wanted["device"]))
        ice = ice_setup(welcome.ice_servers, relay_only=wanted.get("relay", False))
        calls: dict[str, Receiver] = {}

        def answer(call: str, part: dict[str, Any]) -> None:
            message = AnswerMedia(to=device, call=call, **part)
            tasks.create_task(socket.send(encode(message)))

        async def begin(call: str) -> None:
            loss = wanted.get("loss", 0.0)
            calls[call] = Receiver(ice, lambda part: answer(call, part), loss=loss)
            await socket.send(encode(RequestMedia(to=device, call=call, kind="live")))

        for call in wanted["calls"]:
            await begin(call)
        listening = tasks.create_task(_listen(socket, calls))
        telling = tasks.create_task(_tell(calls))
        while line := await lines.readline():
            word, call = line.decode().split()
            if word == "begin":
                await begin(call)
            else:
                await socket.send(encode(EndMedia(to=device, call=call, reason="")))
                calls.pop(call).stop()
        listening.cancel()
        telling.cancel()


async def _listen(socket: ClientConnection, calls: dict[str, Receiver]) -> None:
    # Without the room, calls that stand go on.
    with contextlib.suppress(ConnectionClosed):
        async for text in socket:
            match decode(text, 1 << 20):
                case OfferMedia(call=str(call), sdp=sdp, ice=ice) if call in calls:
                    if sdp is not None:
                        calls[call].offer(sdp)
                    if ice is not None:
                        calls[call].candidate(ice.candidate, ice.sdp_m_line_index or 0)
                case EndMedia(call=call, reason=reason) if call in calls:
                    calls[call].ended = reason


async def _tell(calls: dict[str, Receiver]) -> None:
    while True:
        await asyncio.sleep(0.5)
        told = {
            call: {
                "state": receiver.state,
                "frames": receiver.frames,
                "lost": receiver.lost,
                "sound": receiver.sound,
                "ended": receiver.ended,
            }
            for call, receiver in calls.items()
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
