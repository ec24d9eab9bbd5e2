"""Who watches: the calls of a camera. Nobody watching, no call, no WebRTC pipeline."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ucam.capture import gdp
from ucam.capture.callhost import CallHost
from ucam.capture.calllimit import CallLimit
from ucam.capture.callmessages import Setup
from ucam.capture.callsdp import IceSetup, ice_setup, profile_level_id
from ucam.capture.camera import Captured
from ucam.capture.coded import Picture
from ucam.capture.remotecall import CallHandlers, RemoteCall
from ucam.capture.run import Run
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    EndMedia,
    IceCandidate,
    IceServer,
    OfferMedia,
    RequestMedia,
)

_log = logging.getLogger(__name__)
# From the request to "connected"; and how long a connected viewer may say nothing (reports come
# every second from browsers, every 6.2 s at most by RFC 3550 §6.2). With what its
# end may take, an ended, failed or silent call is gone in ten seconds.
SILENCE_S = 8.0
LOOK_S = 0.5
# Many viewers that come at once, or ask again and again, share a keyframe.
KEYFRAME_INTERVAL_S = 0.3
# The group of pictures kept for a new viewer of a camera that can't be asked for a keyframe.
MAX_KEPT_BYTES = 16_000_000
Key = tuple[str, str]


@dataclass
class _Viewer:
    """A call, and the run it shows. `over`: why it ends, once that is known; `wake`: it ends, or
    its connection is to be made anew.
    """

    jid: str
    id: str
    run: Run
    over: str | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    call: RemoteCall | None = None

    def end(self, reason: str) -> None:
        """The first reason counts; an empty one is nothing to tell the viewer."""
        if self.over is None:
            self.over = reason
            self.wake.set()

    def restart(self, run: Run) -> None:
        """Go on in a new process."""
        self.run = run
        self.wake.set()


class Calls:
    """Opens, feeds and ends calls.

    `send` speaks to the room, `force_keyframe` to the encoder, `changed` is told of comings and
    goings.
    """

    def __init__(
        self,
        *,
        max_viewers: int,
        send: Callable[[AnyMessage], object],
        force_keyframe: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.max_viewers = max_viewers
        self._send = send
        self._force_keyframe = force_keyframe
        self._changed = changed
        self._host = CallHost()
        self._limit = CallLimit()
        self._viewers: dict[Key, _Viewer] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._kept: list[Picture] = []
        self._kept_bytes = 0
        self._keyframe_asked_s = float("-inf")
        self._keyframe_due = False
        self.replays = False
        self.relay_only = False
        self.ice_servers: tuple[IceServer, ...] = ()

    @property
    def count(self) -> int:
        """How many calls there are: processes, WebRTC pipelines."""
        return len(self._viewers)

    @property
    def viewers(self) -> tuple[str, ...]:
        """The full JIDs of those who watch, each once."""
        return tuple(dict.fromkeys(viewer.jid for viewer in self._viewers.values()))

    async def run(self) -> None:
        """Own the calls, until cancelled; then all are taken down."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._host.run())
            while True:
                await asyncio.sleep(LOOK_S)
                self._end_the_silent()

    def request(self, message: RequestMedia, run: Run | None, fault: str | None) -> None:
        """A viewer wants to watch, or, with the id of a call of his, to have its connection made
        anew (an ICE restart). `run`: what there is to see now, else `fault` says why not.
        """
        jid = message.from_
        if jid is None or self._tasks is None:
            return
        key = (jid, message.call)
        viewer = self._viewers.get(key)
        now_s = asyncio.get_running_loop().time()
        if message.kind != "live":
            self._refuse(key, "a camera has no recordings; ask its storage")
        elif run is None:
            self._refuse(key, fault or "the camera gives no picture now")
        elif viewer is None and len(self._viewers) >= self.max_viewers:
            self._refuse(key, f"max-viewers: {self.max_viewers} watch already")
        elif not self._limit.allows(jid.partition("/")[0], now_s):
            if viewer is None:
                self._refuse(key, "too many calls in a short time: wait a moment")
        elif viewer is not None:
            viewer.restart(run)
        else:
            viewer = self._viewers[key] = _Viewer(jid, message.call, run)
            self._tasks.create_task(self._live(key, viewer))
            self._changed()

    def answer(self, message: AnswerMedia) -> None:
        """An answer or a candidate of a viewer; of anybody else it is passed over."""
        viewer = self._viewers.get((message.from_ or "", message.call))
        if viewer is None or viewer.call is None:
            return
        if message.sdp is not None:
            viewer.call.answer(message.sdp)
        if message.ice is not None:
            viewer.call.candidate(message.ice.candidate, message.ice.sdp_m_line_index)

    def end(self, message: EndMedia) -> None:
        """A viewer ends his call."""
        viewer = self._viewers.get((message.from_ or "", message.call))
        if viewer is not None:
            viewer.end("")

    def peer_gone(self, jid: str) -> None:
        """A viewer left the room: his calls end."""
        for viewer in self._viewers.values():
            if viewer.jid == jid:
                viewer.end("")

    def push(self, captured: Captured) -> None:
        """A picture that was captured, to everybody who watches."""
        picture = captured.picture
        assert isinstance(picture, Picture)
        if self.replays:
            self._keep(picture)
        if not self._viewers:
            return
        packet = gdp.buffer(picture.data, picture.clock_ns, delta=not picture.keyframe)
        for viewer in self._viewers.values():
            if viewer.run is not captured.run and _setup(viewer.run) != _setup(captured.run):
                viewer.restart(captured.run)
            elif viewer.call is not None:
                viewer.run = captured.run
                viewer.call.picture(picture, packet)

    def hear(self, captured: Captured) -> None:
        """Sound that was captured, to everybody who watches."""
        if not self._viewers:
            return
        sound = captured.picture
        packet = gdp.buffer(sound.data, sound.clock_ns, delta=False)
        for viewer in self._viewers.values():
            if viewer.call is not None and viewer.run.audio is not None:
                viewer.call.sound(sound, packet)

    def _keep(self, picture: Picture) -> None:
        if picture.keyframe:
            self._kept.clear()
            self._kept_bytes = 0
        elif not self._kept:
            return
        self._kept.append(picture)
        self._kept_bytes += len(picture.data)
        if self._kept_bytes > MAX_KEPT_BYTES:
            # A group this long isn't worth its memory: a new viewer waits for the next keyframe.
            self._kept.clear()
            self._kept_bytes = 0

    async def _live(self, key: Key, viewer: _Viewer) -> None:
        _log.info("%s watches", viewer.jid)
        try:
            while viewer.over is None:
                viewer.wake.clear()
                await self._watch(viewer)
        except OSError as error:
            viewer.end(f"the camera can't take a call now ({error})")
        except Exception:  # noqa: BLE001 - the top of a call's task: it must not end the others
            _log.exception("call with %s", viewer.jid)
            viewer.end("the camera failed in this call")
        finally:
            del self._viewers[key]
            self._changed()
        _log.info("%s no longer watches%s", viewer.jid, f": {viewer.over}" if viewer.over else "")
        if viewer.over:
            self._refuse(key, viewer.over)

    async def _watch(self, viewer: _Viewer) -> None:
        assert self._tasks is not None
        setup = _setup(viewer.run, ice_setup(self.ice_servers, relay_only=self.relay_only))
        viewer.call = call = RemoteCall(self._host, setup, self._handlers(viewer))
        try:
            await call.start()
            # It is captured while the two ends find each other, and held until they have.
            self._ask_for_keyframe()
            await viewer.wake.wait()
        finally:
            viewer.call = None
            if viewer.wake.is_set() and viewer.over is None:
                self._tasks.create_task(call.stop())  # the viewer needn't wait for that
            else:
                await call.stop()

    def _handlers(self, viewer: _Viewer) -> CallHandlers:
        to, call = viewer.jid, viewer.id

        def candidate(text: str, line: int) -> None:
            ice = IceCandidate(candidate=text, sdp_mid=None, sdp_m_line_index=line)
            self._send(OfferMedia(to=to, call=call, ice=ice))

        def offer(sdp: str) -> None:
            self._send(OfferMedia(to=to, call=call, sdp=sdp))

        return CallHandlers(
            offer=offer,
            candidate=candidate,
            answered=self._ask_for_keyframe,
            connected=lambda: self._begin(viewer),
            keyframe_wanted=self._ask_for_keyframe,
            ended=viewer.end,
        )

    def _begin(self, viewer: _Viewer) -> None:
        call = viewer.call
        if call is None:
            return
        if self.replays and self._kept:
            call.replay(self._kept)
        else:
            call.release()
            # Once more: the viewer's end may have come up after ours, and missed the first.
            self._ask_for_keyframe()

    def _ask_for_keyframe(self) -> None:
        if self._keyframe_due:
            return
        self._keyframe_due = True
        loop = asyncio.get_running_loop()
        wait_s = self._keyframe_asked_s + KEYFRAME_INTERVAL_S - loop.time()
        if wait_s <= 0:
            self._ask_now()
        else:
            loop.call_later(wait_s, self._ask_now)

    def _ask_now(self) -> None:
        self._keyframe_due = False
        self._keyframe_asked_s = asyncio.get_running_loop().time()
        self._force_keyframe()

    def _end_the_silent(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for viewer in self._viewers.values():
            call = viewer.call
            if call is None or now_s - call.heard_at_s < SILENCE_S:
                continue
            why = "is gone without a word" if call.connected else "can't be reached"
            viewer.end(f"the viewer {why}")

    def _refuse(self, key: Key, reason: str) -> None:
        self._send(EndMedia(to=key[0], call=key[1], reason=reason))


def _setup(run: Run, ice: IceSetup | None = None) -> Setup:
    track = run.track
    return Setup(
        codec=track.codec,
        profile_level_id=profile_level_id(track) if track.codec == "h264" else "",
        sound=run.audio is not None,
        ice=ice or IceSetup(),
    )
