"""One viewer's WebRTC session: a small GStreamer pipeline, in a process of its own.

webrtcbin calls back on its own threads; everything enters the event loop by
`call_soon_threadsafe`. Its `ice-agent` property is never read: PyGObject 3.42 takes a reference
too many away, and the agent dies. Nothing is cleaned up in Python: the process ends with the call.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from typing import Any

from ucam.capture.callmessages import (
    Answer,
    Candidate,
    Connected,
    Ended,
    FromCall,
    Heard,
    KeyframeWanted,
    Offer,
    Setup,
)
from ucam.capture.callsdp import (
    PAYLOAD_TYPE,
    SOUND_PAYLOAD_TYPE,
    AnswerError,
    checked_answer,
    checked_candidate,
)
from ucam.capture.gst import GLib, Gst, GstSdp, GstVideo, GstWebRTC

_log = logging.getLogger(__name__)
MTU = 1200
# A viewer's reports come every second, or more often when much is lost.
HEARD_INTERVAL_S = 0.5
# A whole picture in one read, mostly.
BLOCK = 65_536
# Loaded before the first call, so that calls begin at once.
ELEMENTS = (
    *("webrtcbin", "nicesink", "dtlsdec", "srtpenc", "rtpbin", "rtpfunnel", "rtprtxsend"),
    *("fdsrc", "gdpdepay", "rtph264pay", "rtph265pay", "rtpopuspay"),
)


def load() -> None:
    """What all calls need, once: plugins, and the certificate they show to viewers (its RSA key
    takes a Pi 2 seconds). Leaves no thread behind.
    """
    for name in ELEMENTS:
        if (factory := Gst.ElementFactory.find(name)) is not None:
            factory.load()
    Gst.ElementFactory.make("dtlsdec", None)


def launch_text(setup: Setup, video: int, sound: int | None) -> str:
    """The pipeline; `video`, `sound`: file descriptors of pipes that `gdp` writes.

    The payloader gives a picture's packets as one list. No capsfilter behind it, nor anything else
    made of a basetransform: that takes lists apart, and each packet goes alone to the socket.
    """
    read = f"blocksize={BLOCK} ! gdpdepay"
    text = (
        f"fdsrc fd={video} {read} name=pictures ! rtp{setup.codec}pay"
        f" aggregate-mode=zero-latency config-interval=-1 pt={PAYLOAD_TYPE} mtu={MTU}"
        " ! webrtcbin name=peer bundle-policy=max-bundle"
    )
    if sound is not None:
        text += f" fdsrc fd={sound} {read} ! rtpopuspay pt={SOUND_PAYLOAD_TYPE} mtu={MTU} ! peer."
    return text


def _video_caps(setup: Setup) -> str:
    name = setup.codec.upper()
    return (
        f"application/x-rtp,media=video,encoding-name={name},clock-rate=90000,"
        f"payload={PAYLOAD_TYPE}"
    )


def _sound_caps() -> str:
    return (
        "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,"
        f"payload={SOUND_PAYLOAD_TYPE}"
    )


def bypass(fec: Any) -> None:
    """webrtcbin has this bin in the way, whether FEC was asked for or not (it wasn't), and takes a
    picture's list of packets apart in it.
    """
    way = Gst.ElementFactory.make("clocksync", None)  # gives lists on as they are
    way.set_property("sync", False)
    fec.add(way)
    for name in ("sink", "src"):
        fec.get_static_pad(name).set_target(way.get_static_pad(name))


class Call:
    """`start`, `stop`; `say` tells the camera what happens, in the loop."""

    def __init__(
        self, setup: Setup, video: int, sound: int | None, say: Callable[[FromCall], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._setup = setup
        self._say = say
        self._over = False
        self._answered = False
        self._connected = False
        self._heard_s = float("-inf")
        # A fork draws the same numbers as all others otherwise: ICE credentials, SSRCs.
        GLib.random_set_seed(secrets.randbits(32))
        self._pipeline: Any = Gst.parse_launch(launch_text(setup, video, sound))
        # PTS are on the monotonic clock, as they are (see ucam.capture.pipeline).
        self._pipeline.use_clock(Gst.SystemClock.obtain())
        self._pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
        self._pipeline.set_base_time(0)
        self._peer = self._pipeline.get_by_name("peer")
        self._prepare_ice()
        self._prepare_media()
        pad = self._pipeline.get_by_name("pictures").get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.EVENT_UPSTREAM, self._on_upstream_event)
        self._bus = self._pipeline.get_bus()
        self._loop.add_reader(self._bus.get_pollfd().fd, self._read_bus)

    def _prepare_ice(self) -> None:
        peer, ice = self._peer, self._setup.ice
        if ice.relay_only:
            peer.set_property("ice-transport-policy", GstWebRTC.WebRTCICETransportPolicy.RELAY)
        if ice.stun is not None:
            peer.set_property("stun-server", ice.stun)
        for server in ice.turn:
            if not peer.emit("add-turn-server", server):
                _log.warning("a TURN server of the room is not usable")

    def _prepare_media(self) -> None:
        peer, setup = self._peer, self._setup
        # With preferences the offer comes at once, not with the first buffer.
        video = _video_caps(setup)
        if setup.codec == "h264":
            video += (
                ",packetization-mode=(string)1,level-asymmetry-allowed=(string)1"
                f",profile-level-id=(string){setup.profile_level_id}"
            )
        sound = f"{_sound_caps()},encoding-params=(string)2"
        for line, caps in enumerate((video, sound) if setup.sound else (video,)):
            transceiver = peer.emit("get-transceiver", line)
            transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
            transceiver.set_property("do-nack", line == 0)
            transceiver.set_property("codec-preferences", Gst.Caps.from_string(caps))
        peer.connect("deep-element-added", self._on_element_added)
        peer.connect("on-negotiation-needed", self._on_negotiation_needed)
        peer.connect("on-ice-candidate", self._on_ice_candidate)
        peer.connect("notify::connection-state", self._on_connection_state)
        peer.connect("notify::ice-connection-state", self._on_ice_state)
        # The viewer's receiver reports are the sign that he is still there.
        peer.get_by_name("rtpbin").connect("on-ssrc-active", self._on_report)

    async def start(self) -> None:
        """Set it going: the offer follows."""
        result = await asyncio.to_thread(self._pipeline.set_state, Gst.State.PLAYING)
        if result == Gst.StateChangeReturn.FAILURE:
            self._end("the call can't be started")

    async def stop(self) -> None:
        """Say goodbye to a viewer who is there: by DTLS, and to a TURN server by its protocol."""
        self._over = True
        if self._connected:
            await asyncio.to_thread(self._pipeline.set_state, Gst.State.NULL)

    def take(self, message: Answer | Candidate) -> None:
        """The viewer's words."""
        if self._over:
            return
        if isinstance(message, Answer):
            self._take_answer(message.sdp)
        else:
            self._take_candidate(message)

    def _take_answer(self, sdp: str) -> None:
        setup = self._setup
        try:
            text = checked_answer(sdp, profile_level_id=setup.profile_level_id, sound=setup.sound)
        except AnswerError as error:
            self._end(str(error))
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
        promise = Gst.Promise.new_with_change_func(self._on_answer_set, None)
        self._peer.emit("set-remote-description", answer, promise)

    def _take_candidate(self, message: Candidate) -> None:
        try:
            candidate = checked_candidate(message.text)
        except AnswerError:
            _log.info("an ICE candidate that isn't one is passed over")
            return
        # All media go the way of the first.
        if candidate is not None and message.line in (0, None):
            self._peer.emit("add-ice-candidate", 0, candidate)

    # What follows, to _read_bus, runs on GStreamer's threads.

    def _on_element_added(self, _bin: Any, _inner: Any, element: Any) -> None:
        factory = element.get_factory()
        name = factory.get_name() if factory is not None else ""
        if name in ("nicesink", "nicesrc"):
            # libnice would ask the router by UPnP to open a port for each call, loudly in the whole
            # network. Nobody asked for holes in the firewall. This comes before candidates are
            # gathered, and the agent can't be had in another way (see above).
            element.get_property("agent").set_property("upnp", False)
        elif name == "rtpulpfecenc":
            bypass(element.get_parent())

    def _on_negotiation_needed(self, peer: Any) -> None:
        promise = Gst.Promise.new_with_change_func(self._on_offer, None)
        peer.emit("create-offer", None, promise)

    def _on_offer(self, promise: Any, _data: Any) -> None:
        reply = promise.get_reply() if promise.wait() == Gst.PromiseResult.REPLIED else None
        offer = reply.get_value("offer") if reply is not None else None
        if offer is None:
            self._enter(self._end, "no offer could be made")
            return
        self._enter(self._say, Offer(offer.sdp.as_text()))  # candidates come after it
        self._peer.emit("set-local-description", offer, Gst.Promise.new())

    def _on_answer_set(self, promise: Any, _data: Any) -> None:
        reply = promise.get_reply() if promise.wait() == Gst.PromiseResult.REPLIED else None
        if reply is not None and reply.has_field("error"):
            self._enter(self._end, "the answer can't be used")

    def _on_ice_candidate(self, _peer: Any, line: int, candidate: str) -> None:
        self._enter(self._say, Candidate(candidate, line))

    def _on_connection_state(self, peer: Any, _property: Any) -> None:
        self._enter(self._take_state, peer.get_property("connection-state").value_nick)

    def _on_ice_state(self, peer: Any, _property: Any) -> None:
        if peer.get_property("ice-connection-state").value_nick in ("connected", "completed"):
            self._enter(self._hear)  # his checks are answers, too: a handshake follows

    def _on_report(self, _rtpbin: Any, _session: int, _ssrc: int) -> None:
        self._enter(self._hear)

    def _on_upstream_event(self, _pad: Any, info: Any) -> Any:
        if GstVideo.video_event_is_force_key_unit(info.get_event()):
            self._enter(self._say, KeyframeWanted())
        return Gst.PadProbeReturn.OK

    def _enter(self, function: Callable[..., None], *arguments: object) -> None:
        """Go on in the event loop."""
        with contextlib.suppress(RuntimeError):  # it is gone: the very end of the process
            self._loop.call_soon_threadsafe(function, *arguments)

    def _read_bus(self) -> None:
        while (message := self._bus.pop()) is not None:
            if message.type == Gst.MessageType.ERROR:
                error, debug = message.parse_error()
                _log.debug("%s: %s", message.src.get_name(), debug)
                self._end(f"the call broke: {error.message}")

    def _take_state(self, state: str) -> None:
        if state == "connected" and not self._connected:
            self._connected = True
            self._hear()
            self._say(Connected())
        elif state in ("failed", "closed"):
            self._end(f"the connection to the viewer {state}")

    def _hear(self) -> None:
        now_s = self._loop.time()
        if now_s - self._heard_s >= HEARD_INTERVAL_S:
            self._heard_s = now_s
            self._say(Heard())

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._say(Ended(reason))
