"""The camera in the room: its readiness, its status, its viewers, and the storage it learns of."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from ucam.base.jid import JID, JIDError
from ucam.capture.calls import Calls
from ucam.capture.callsdp import readiness
from ucam.capture.camera import Camera
from ucam.capture.run import Run
from ucam.capture.status import outline
from ucam.device.room import RoomConnection, RoomHandlers
from ucam.device.roster import Roster
from ucam.device.token import TokenStore
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    Connect,
    Disconnect,
    EndMedia,
    Error,
    Locate,
    OfferMedia,
    RequestMedia,
    Status,
    Welcome,
)

_log = logging.getLogger(__name__)
CAPABILITIES = ("live",)
# Changes call; what only time changes is seen by looking.
LOOK_S = 1.0
STATUS_S = 2.0
# Changes are told at once, but not more often than this.
LEAST_S = 0.5
LEAST_PAUSE_S = 0.05


class Presence:
    """`status` gives the fields to tell; `announced` gets the Status of this location's storage,
    `located` who wants to know which camera this is.
    """

    def __init__(
        self,
        web_url: str,
        tokens: TokenStore,
        jid: JID,
        name: str,
        camera: Camera,
        *,
        max_viewers: int,
        status: Callable[[], dict[str, Any]],
        announced: Callable[[dict[str, Any]], None],
        located: Callable[[str], None],
    ) -> None:
        self.room = RoomConnection(
            web_url,
            tokens,
            RoomHandlers(self._connected, self._message, self._disconnected),
            name=name,
            capabilities=CAPABILITIES,
        )
        self.calls = Calls(
            max_viewers=max_viewers,
            send=self.room.send,
            force_keyframe=camera.force_keyframe,
            changed=self.look,
        )
        self._jid = jid
        self._camera = camera
        self._status = status
        self._announced = announced
        self._located = located
        self._storages: frozenset[str] = frozenset()
        self._roster = Roster()
        self._ready_run: Run | None = None
        self._told: dict[str, Any] = {}
        self._told_s = float("-inf")
        self._look = asyncio.Event()

    def look(self) -> None:
        """Something changed: tell it if it is worth telling."""
        self._look.set()

    async def run(self) -> None:
        """Stay in the room; tell the status every 2 s, and sooner when it changes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.room.run())
            tasks.create_task(self.calls.run())
            pause_s = LOOK_S
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._look.wait()
                self._look.clear()
                pause_s = self._tell_when_due()

    def _tell_when_due(self) -> float:
        """How long until the next look."""
        if not self.room.connected:
            return LOOK_S
        now_s = asyncio.get_running_loop().time()
        for viewer in self._roster.missed(self.calls.viewers, now_s):
            _log.info("%s isn't in the room any more; its calls end", viewer)
            self.calls.peer_gone(viewer)
        run = self._camera.run_now
        if run is not None and run is not self._ready_run:
            self._say_ready(run)
        fields = self._status()
        changed = outline(fields) != outline(self._told)
        due_s = self._told_s + (LEAST_S if changed else STATUS_S)
        if now_s >= due_s and self.room.send(Status(fields=fields)):
            self._told, self._told_s = fields, now_s
            return LOOK_S
        return min(max(due_s - now_s, LEAST_PAUSE_S), LOOK_S)

    def _say_ready(self, run: Run) -> None:
        before = self._ready_run
        if before is None or (before.track, before.audio) != (run.track, run.audio):
            self.room.send(OfferMedia(sdp=readiness(run)))
        self._ready_run = run

    # From the room

    def _connected(self, welcome: Welcome) -> None:
        self._roster.welcome(welcome, asyncio.get_running_loop().time())
        self.calls.ice_servers = welcome.ice_servers
        self._ready_run = None
        self._told, self._told_s = {}, float("-inf")
        own = str(self._jid)
        self._storages = frozenset(
            place.storage
            for place in welcome.locations
            if place.storage is not None and any(device.jid == own for device in place.devices)
        )
        for peer in welcome.roster:
            if peer.status is not None:
                self._heard(peer.jid, peer.status)
        self.look()

    def _disconnected(self, reason: str) -> None:
        # Calls stay: they need the room only to begin.
        self._roster.away()
        _log.info("out of the room: %s", reason)

    def _message(self, message: AnyMessage) -> None:
        match message:
            case RequestMedia():
                self._roster.heard(message.from_)
                camera = self._camera
                self.calls.replays = camera.replays
                self.calls.request(message, camera.run_now, camera.fault)
            case AnswerMedia():
                self.calls.answer(message)
            case EndMedia():
                self.calls.end(message)
            case Locate(from_=str(sender)):
                self._located(sender)
            case Connect():
                self._roster.change(message)
            case Disconnect():
                self._roster.change(message)
                self.calls.peer_gone(message.jid)
            case Status(fields=fields, from_=str(sender)):
                self._heard(sender, fields)
            case Error():
                _log.info("the room: %s (%s)", message.text, message.about)

    def _heard(self, sender: str, fields: dict[str, Any]) -> None:
        try:
            bare = str(JID.parse(sender).bare)
        except JIDError:
            return
        if bare in self._storages and fields.get("storage") is not None:
            self._announced(fields)
