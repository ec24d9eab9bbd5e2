"""One viewer's WebRTC session: a small GStreamer pipeline that lives while somebody watches.

webrtcbin calls back on its own threads; everything enters the event loop by
`call_soon_threadsafe`. Its `ice-agent` property is never read: PyGObject 3.42 takes a reference
too many away, and the agent dies.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ucam.capture.callsdp import (
    PAYLOAD_TYPE,
    AnswerError,
    IceSetup,
    checked_answer,
    checked_candidate,
    profile_level_id,
)
from ucam.capture.gst import Gst, GstSdp, GstVideo, GstWebRTC
from ucam.capture.pipeline import Format, Picture
from ucam.media.track import VideoTrack

_log = logging.getLogger(__name__)
MTU = 1200
# A viewer whose network takes less than is captured: more than this is not kept for him.
MAX_WAITING_BYTES = 2_000_000
MAX_CANDIDATES = 100
SETTLE_S = 3
# Pictures that are replayed to a new viewer follow each other this fast: he catches up at once.
REPLAY_STEP_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class CallHandlers:
    """What the owner does on the events of a call; all in the loop.

    `offer` gets an SDP, `candidate` its text and m-line number, `ended` a sentence (once).
    """

    offer: Callable[[str], None]
    candidate: Callable[[str, int], None]
    connected: Callable[[], None]
    keyframe_wanted: Callable[[], None]
    ended: Callable[[str], None]


class Call:
    """`start`, then `picture` for all that is captured, and always `stop`."""

    def __init__(self, track: VideoTrack, ice: IceSetup, handlers: CallHandlers) -> None:
        self._loop = asyncio.get_running_loop()
        self._track = track
        self._handlers = handlers
        self._over = False
        self._format: Format | None = None
        self._needs_keyframe = True
        self._last_pts_ns = 0
        self._candidates = 0
        self._answered = False
        self.connected = False
        self.heard_at_s = self._loop.time()
        caps = (
            f"application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,"
            f"payload={PAYLOAD_TYPE}"
        )
        self._listening: list[tuple[Any, int]] = []
        self._negotiating = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._pipeline: Any = Gst.parse_launch(
            "appsrc name=source is-live=true format=time"
            f" ! rtph264pay aggregate-mode=zero-latency config-interval=-1 pt={PAYLOAD_TYPE}"
            f" mtu={MTU} ! capsfilter caps={caps} ! webrtcbin name=peer bundle-policy=max-bundle"
        )
        # PTS are on the monotonic clock, as they are (see ucam.capture.pipeline).
        self._pipeline.use_clock(Gst.SystemClock.obtain())
        self._pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
        self._pipeline.set_base_time(0)
        self._source = self._pipeline.get_by_name("source")
        self._peer = self._pipeline.get_by_name("peer")
        self._prepare_peer(ice, caps)
        self._pad = self._source.get_static_pad("src")
        self._probe = self._pad.add_probe(Gst.PadProbeType.EVENT_UPSTREAM, self._on_upstream_event)
        self._bus = self._pipeline.get_bus()
        self._loop.add_reader(self._bus.get_pollfd().fd, self._read_bus)

    def _prepare_peer(self, ice: IceSetup, caps: str) -> None:
        peer = self._peer
        if ice.stun is not None:
            peer.set_property("stun-server", ice.stun)
        for server in ice.turn:
            if not peer.emit("add-turn-server", server):
                _log.warning("a TURN server of the room is not usable")
        transceiver = peer.emit("get-transceiver", 0)
        transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        transceiver.set_property("do-nack", True)
        # With these the offer comes at once, not with the first buffer.
        preferences = (
            f"{caps},packetization-mode=(string)1,level-asymmetry-allowed=(string)1,"
            f"profile-level-id=(string){profile_level_id(self._track)}"
        )
        transceiver.set_property("codec-preferences", Gst.Caps.from_string(preferences))
        self._listen(peer, "deep-element-added", self._on_element_added)
        self._listen(peer, "on-negotiation-needed", self._on_negotiation_needed)
        self._listen(peer, "on-ice-candidate", self._on_ice_candidate)
        self._listen(peer, "notify::connection-state", self._on_connection_state)
        # The viewer's receiver reports are the sign that he is still there.
        self._listen(peer.get_by_name("rtpbin"), "on-ssrc-active", self._on_report)

    def _listen(self, element: Any, signal: str, callback: Callable[..., None]) -> None:
        self._listening.append((element, element.connect(signal, callback)))

    async def start(self) -> None:
        """Set it going: the offer follows."""
        self._begin_step()
        result = await asyncio.to_thread(self._pipeline.set_state, Gst.State.PLAYING)
        if result == Gst.StateChangeReturn.FAILURE:
            self._end("the call can't be started")

    async def stop(self) -> None:
        """Take it down; nothing is called back afterwards."""
        self._over = True
        self._loop.remove_reader(self._bus.get_pollfd().fd)
        # webrtcbin that is taken down between two steps of a negotiation keeps its ICE agent, and
        # with it sockets, for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self._settled.wait()
        await asyncio.to_thread(self._pipeline.set_state, Gst.State.NULL)
        # GObject's closures hold us and we hold their objects: Python's collector can't see
        # through that, and webrtcbin's threads and sockets would stay.
        self._pad.remove_probe(self._probe)
        for element, handler in self._listening:
            element.disconnect(handler)
        self._listening.clear()
        self._pipeline = self._source = self._peer = self._pad = self._bus = None

    def answer(self, sdp: str) -> None:
        """The viewer's answer; what is none ends the call."""
        if self._over:
            return
        try:
            text = checked_answer(sdp, self._track)
        except AnswerError as error:
            self._end(f"the answer can't be used: {error}")
            return
        if self._answered:
            return
        self._answered = True
        self._hear()
        result, message = GstSdp.SDPMessage.new_from_text(text)
        if result != GstSdp.SDPResult.OK:
            self._end("the answer can't be used: no SDP")
            return
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        answer = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self._begin_step()
        promise = Gst.Promise.new_with_change_func(self._on_answer_set, None)
        self._peer.emit("set-remote-description", answer, promise)

    def candidate(self, text: str, line: int | None) -> None:
        """A candidate of the viewer; what is none is passed over, too many end the call."""
        self._candidates += 1
        if self._over:
            return
        if self._candidates > MAX_CANDIDATES:
            self._end("too many ICE candidates")
            return
        try:
            candidate = checked_candidate(text)
        except AnswerError:
            _log.info("an ICE candidate that isn't one is passed over")
            return
        if candidate is not None and line in (0, None):
            self._peer.emit("add-ice-candidate", 0, candidate)

    def replay(self, pictures: list[Picture]) -> None:
        """Begin with pictures of the past (from a keyframe), squeezed into the last moments."""
        for left, picture in zip(range(len(pictures), 0, -1), pictures, strict=True):
            self._push(picture, pictures[-1].clock_ns - (left - 1) * REPLAY_STEP_NS)

    def picture(self, picture: Picture) -> None:
        """A picture as it is captured."""
        if self.connected:
            self._push(picture, picture.clock_ns)

    def _push(self, picture: Picture, pts_ns: int) -> None:
        if self._over or (self._needs_keyframe and not picture.keyframe):
            return
        if self._source.get_property("current-level-bytes") > MAX_WAITING_BYTES:
            # What is dropped is missed by the pictures after it: go on with a keyframe.
            self._needs_keyframe = True
            self._handlers.keyframe_wanted()
            return
        self._needs_keyframe = False
        if picture.format is not self._format:
            self._format = picture.format
            self._source.set_property("caps", picture.format.caps)
        buffer = picture.buffer
        if pts_ns != picture.clock_ns:
            buffer = buffer.copy_region(
                Gst.BufferCopyFlags.FLAGS | Gst.BufferCopyFlags.MEMORY, 0, buffer.get_size()
            )
            buffer.pts = pts_ns
        self._source.push_buffer(buffer)

    # What follows, to _read_bus, runs on GStreamer's threads.

    def _on_element_added(self, _bin: Any, _inner: Any, element: Any) -> None:
        # libnice would ask the router by UPnP to open a port for each call, loudly in the whole
        # network. Nobody asked for holes in the firewall. This comes before candidates are
        # gathered, and the agent can't be had in another way (see above).
        factory = element.get_factory()
        if factory is not None and factory.get_name() in ("nicesink", "nicesrc"):
            element.get_property("agent").set_property("upnp", False)

    def _on_negotiation_needed(self, peer: Any) -> None:
        promise = Gst.Promise.new_with_change_func(self._on_offer, None)
        peer.emit("create-offer", None, promise)

    def _on_offer(self, promise: Any, _data: Any) -> None:
        peer = self._peer
        reply = promise.get_reply() if promise.wait() == Gst.PromiseResult.REPLIED else None
        offer = reply.get_value("offer") if reply is not None else None
        if offer is None or peer is None:
            self._enter(self._end, "no offer could be made")
            self._call_in_loop(self._end_step)
            return
        done = Gst.Promise.new_with_change_func(self._on_offer_set, None)
        peer.emit("set-local-description", offer, done)
        self._enter(self._handlers.offer, offer.sdp.as_text())

    def _on_offer_set(self, _promise: Any, _data: Any) -> None:
        self._call_in_loop(self._end_step)

    def _on_answer_set(self, promise: Any, _data: Any) -> None:
        self._call_in_loop(self._end_step)
        reply = promise.get_reply() if promise.wait() == Gst.PromiseResult.REPLIED else None
        if reply is not None and reply.has_field("error"):
            self._enter(self._end, "the answer can't be used")

    def _on_ice_candidate(self, _peer: Any, line: int, candidate: str) -> None:
        self._enter(self._handlers.candidate, candidate, line)

    def _on_connection_state(self, peer: Any, _property: Any) -> None:
        self._enter(self._take_state, peer.get_property("connection-state").value_nick)

    def _on_report(self, _rtpbin: Any, _session: int, _ssrc: int) -> None:
        self._enter(self._hear)

    def _on_upstream_event(self, _pad: Any, info: Any) -> Any:
        if GstVideo.video_event_is_force_key_unit(info.get_event()):
            self._enter(self._handlers.keyframe_wanted)
        return Gst.PadProbeReturn.OK

    def _enter(self, function: Callable[..., None], *arguments: object) -> None:
        """Go on in the event loop, unless the call is over by then."""

        def enter() -> None:
            if not self._over:
                function(*arguments)

        self._call_in_loop(enter)

    def _call_in_loop(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            _log.debug("the event loop is gone")  # at the very end of the process

    def _read_bus(self) -> None:
        while (message := self._bus.pop()) is not None:
            if message.type == Gst.MessageType.ERROR:
                error, debug = message.parse_error()
                _log.debug("%s: %s", message.src.get_name(), debug)
                self._end(f"the call broke: {error.message}")

    def _begin_step(self) -> None:
        """A step of the negotiation has begun on webrtcbin's thread."""
        self._negotiating += 1
        self._settled.clear()

    def _end_step(self) -> None:
        self._negotiating -= 1
        if self._negotiating == 0:
            self._settled.set()

    def _take_state(self, state: str) -> None:
        if state == "connected" and not self.connected:
            self.connected = True
            self._hear()
            self._handlers.connected()
        elif state in ("failed", "closed"):
            self._end(f"the connection to the viewer {state}")

    def _hear(self) -> None:
        """A sign of life: see `heard_at_s`."""
        self.heard_at_s = self._loop.time()

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._handlers.ended(reason)
