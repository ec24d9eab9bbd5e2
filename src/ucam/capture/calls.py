"""Who watches: the calls of a camera. Nobody watching, no call, no WebRTC pipeline."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ucam.capture.call import Call, CallHandlers
from ucam.capture.callsdp import ice_setup
from ucam.capture.camera import Captured
from ucam.capture.pipeline import Picture
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
# From the request to "connected"; and how long a connected viewer may say nothing.
SILENCE_S = 9.0
# Many viewers that come at once, or ask again and again, share a keyframe.
KEYFRAME_INTERVAL_S = 0.3
# The group of pictures kept for a new viewer of a camera that can't be asked for a keyframe.
MAX_KEPT_BYTES = 16_000_000
Key = tuple[str, str]


@dataclass
class _Viewer:
    """A call, and the future that says why it ends."""

    jid: str
    id: str
    ended: "asyncio.Future[str]"
    call: Call | None = None


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
        self._viewers: dict[Key, _Viewer] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._kept: list[Picture] = []
        self._kept_bytes = 0
        self._keyframe_asked_s = float("-inf")
        self._keyframe_due = False
        self.replays = False
        self.ice_servers: tuple[IceServer, ...] = ()

    @property
    def count(self) -> int:
        """How many WebRTC pipelines there are."""
        return len(self._viewers)

    @property
    def viewers(self) -> tuple[str, ...]:
        """The full JIDs of those who watch, each once."""
        return tuple(dict.fromkeys(viewer.jid for viewer in self._viewers.values()))

    async def run(self) -> None:
        """Own the calls, until cancelled; then all are taken down."""
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                await asyncio.sleep(1)
                self._end_the_silent()

    def request(self, message: RequestMedia, run: Run | None, fault: str | None) -> None:
        """A viewer wants to watch. `run`: what there is to see now, else `fault` says why not."""
        jid = message.from_
        if jid is None or self._tasks is None:
            return
        key = (jid, message.call)
        if message.kind != "live":
            self._refuse(key, "a camera has no recordings; ask its storage")
        elif run is None:
            self._refuse(key, fault or "the camera gives no picture now")
        elif key in self._viewers:
            _log.debug("asked twice for one call")
        elif len(self._viewers) >= self.max_viewers:
            self._refuse(key, f"max-viewers: {self.max_viewers} watch already")
        else:
            viewer = _Viewer(jid, message.call, asyncio.get_running_loop().create_future())
            self._viewers[key] = viewer
            self._tasks.create_task(self._live(key, viewer, run))
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
            _settle(viewer.ended, "")

    def peer_gone(self, jid: str) -> None:
        """A viewer left the room: his calls end."""
        for viewer in self._viewers.values():
            if viewer.jid == jid:
                _settle(viewer.ended, "")

    def push(self, captured: Captured) -> None:
        """What was captured, to everybody who watches."""
        picture = captured.picture
        if self.replays:
            self._keep(picture)
        for viewer in self._viewers.values():
            if viewer.call is not None:
                viewer.call.picture(picture)

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

    async def _live(self, key: Key, viewer: _Viewer, run: Run) -> None:
        try:
            reason = await self._watch(viewer, run)
        except Exception:  # noqa: BLE001 - the top of a call's task: it must not end the others
            _log.exception("call with %s", viewer.jid)
            reason = "the camera failed in this call"
        finally:
            del self._viewers[key]
            self._changed()
        _log.info("%s no longer watches%s", viewer.jid, f": {reason}" if reason else "")
        if reason:
            self._refuse(key, reason)

    async def _watch(self, viewer: _Viewer, run: Run) -> str:
        call = Call(run.track, ice_setup(self.ice_servers), self._handlers(viewer))
        viewer.call = call
        _log.info("%s watches", viewer.jid)
        try:
            await call.start()
            return await viewer.ended
        finally:
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
            connected=lambda: self._begin(viewer),
            keyframe_wanted=self._ask_for_keyframe,
            ended=lambda reason: _settle(viewer.ended, reason),
        )

    def _begin(self, viewer: _Viewer) -> None:
        if self.replays and self._kept and viewer.call is not None:
            viewer.call.replay(self._kept)
        else:
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
            _settle(viewer.ended, f"the viewer {why}")

    def _refuse(self, key: Key, reason: str) -> None:
        self._send(EndMedia(to=key[0], call=key[1], reason=reason))


def _settle(future: "asyncio.Future[str]", reason: str) -> None:
    if not future.done():
        future.set_result(reason)
