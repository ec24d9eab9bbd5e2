"""The storage as a peer in the room: what it announces, and whom it answers."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from ucam.base.jid import JID, JIDError
from ucam.base.times import format_utc, parse_utc
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
    OfferMedia,
    RequestMedia,
    Status,
    TokensChanged,
    Welcome,
)
from ucam.storage.layout import Place
from ucam.storage.playback.late import LatePeers

_log = logging.getLogger(__name__)
CAPABILITIES = ("storage", "recordings")
LOOK_S = 0.25
STATUS_S = 2.0
# A camera whose oldest unsaved picture is younger than this is just recording.
ON_DEVICE_S = 5.0
SPOKEN_VALID_S = 10.0


class StorageRoom:
    """Connects calls of the room with `LatePeers`, and tells the storage's status.

    `status` gives the fields to tell (all but the announced address's host).
    """

    def __init__(
        self,
        web_url: str,
        tokens: TokenStore,
        jid: JID,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        handlers = RoomHandlers(
            self._connected,
            self._message,
            self._disconnected,
            # Ours may be no good any more because all that its key has signed isn't.
            refused=lambda: self.on_tokens_changed(),
        )
        self.connection = RoomConnection(
            web_url, tokens, handlers, name=jid.local, capabilities=CAPABILITIES
        )
        self.peers: LatePeers | None = None
        self.on_tokens_changed: Callable[[], None] = lambda: None
        self._tokens = tokens
        self._status = status
        self._spools: dict[str, tuple[float, int, int]] = {}
        self._told: dict[str, Any] = {}
        self._told_s = 0.0
        self._roles: dict[str, str] = {}  # of everybody in the room
        self._roster = Roster()
        self._devices: frozenset[str] | None = None

    async def run(self) -> None:
        """Stay in the room, tell the status every 2 s and when who is recorded changes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.connection.run())
            while True:
                await asyncio.sleep(LOOK_S)
                self._tell_when_due()
                self._end_the_missed()

    def _tell_when_due(self) -> None:
        now_s = time.monotonic()
        fields = self._status()
        changed = _outline(fields) != _outline(self._told)
        if changed or now_s - self._told_s >= STATUS_S:
            self._tell(fields)

    def _end_the_missed(self) -> None:
        if self.peers is None:
            return
        for viewer in self._roster.missed(self.peers.viewers, time.monotonic()):
            _log.info("%s isn't in the room any more; its calls end", viewer)
            self.peers.gone(viewer)

    def _tell(self, fields: dict[str, Any]) -> None:
        if self.connection.send(Status(fields=fields)):
            self._told, self._told_s = fields, time.monotonic()

    def say(self, message: OfferMedia | EndMedia) -> None:
        """Put a call's message into the room; without a connection the call is over anyway."""
        self.connection.send(message)

    def is_listed(self, jid: str) -> bool:
        """Whether the configuration has this camera in a location of this storage, as far as the
        room has said."""
        return self._devices is None or jid in self._devices

    def on_device(self, place: Place) -> tuple[int, int] | None:
        """What a camera said lately that it still holds: (from, to) in µs."""
        spoken = self._spools.get(place.jid)
        if spoken is None or time.monotonic() - spoken[0] > SPOKEN_VALID_S:
            return None
        return spoken[1:]

    # From the room

    def _connected(self, welcome: Welcome) -> None:
        # While we were away nobody told us.
        self.on_tokens_changed()
        if self.peers is not None:
            self.peers.ice_servers = welcome.ice_servers
        self._told = {}
        self._tell(self._status())
        self._roster.welcome(welcome, time.monotonic())
        self._devices = frozenset(d.jid for place in welcome.locations for d in place.devices)
        self._roles = {peer.jid: peer.role for peer in welcome.roster}
        for peer in welcome.roster:
            if peer.role == "device" and peer.status is not None:
                self._heard(peer.jid, peer.status)

    def _disconnected(self, reason: str) -> None:
        # Calls stay: they need the room only to begin.
        self._roster.away()
        _log.info("out of the room: %s", reason)

    def _message(self, message: AnyMessage) -> None:
        match message:
            case Status(fields=fields, from_=str(sender)):
                self._heard(sender, fields)
            case TokensChanged():
                self.on_tokens_changed()
            case Error():
                _log.info("the room: %s (%s)", message.text, message.about)
            case Connect():
                self._roster.change(message)
                self._roles[message.jid] = message.role
            case RequestMedia() | AnswerMedia() | EndMedia() | Disconnect():
                if isinstance(message, RequestMedia):
                    self._roster.heard(message.from_)
                if isinstance(message, Disconnect):
                    self._roster.change(message)
                    self._roles.pop(message.jid, None)
                if self.peers is not None:
                    self._call(self.peers, message)

    def _call(
        self, peers: LatePeers, message: RequestMedia | AnswerMedia | EndMedia | Disconnect
    ) -> None:
        match message:
            case RequestMedia(kind="recordings"):
                allowed = frozenset(message.locations) & frozenset(self._tokens.life.locations)
                # Who isn't known in the room may look, as a player.
                role = self._roles.get(message.from_ or "", "player")
                peers.request(message, allowed, role)
            case RequestMedia(from_=str(viewer)):
                reason = "a storage has recordings, not live pictures"
                self.connection.send(EndMedia(to=viewer, call=message.call, reason=reason))
            case AnswerMedia():
                peers.answer(message)
            case EndMedia():
                peers.end(message)
            case Disconnect():
                peers.gone(message.jid)

    def _heard(self, sender: str, fields: dict[str, Any]) -> None:
        """A camera's status: how much of the past it still holds."""
        try:
            jid = str(JID.parse(sender).bare)
            seconds = float(fields["spool"]["seconds"])
            durable = fields.get("durable-until")
            now_us = time.time_ns() // 1000
            begin_us = now_us - round(seconds * 1e6)
            if durable is not None:
                begin_us = max(begin_us, parse_utc(durable))
        except (JIDError, KeyError, TypeError, ValueError, OverflowError):
            return  # not a camera's, or a newer ucam's
        if seconds >= ON_DEVICE_S:
            self._spools[jid] = (time.monotonic(), begin_us, now_us)
        else:
            self._spools.pop(jid, None)


def _outline(fields: dict[str, Any]) -> tuple[Any, ...]:
    """What of a status is worth telling at once: not that a second has passed."""
    recording = tuple(fields.get("recording", {}))
    return fields.get("message"), fields.get("storage"), recording, fields.get("https")


def status_fields(
    *,
    address: tuple[str, int],
    fingerprint: str,
    durable_us: dict[str, int],
    sealed: dict[str, str],
    size: int,
    maxspace: int | None,
    message: str | None,
    https: str | None = None,
) -> dict[str, Any]:
    """A storage's Status. `durable_us`: capture time of each device's last durable unit; `sealed`:
    the head of its chain; `https`: where browsers may get recordings without a detour.
    """
    host, port = address
    host = f"[{host}]" if ":" in host else host
    return {
        "storage": {"url": f"rtsps://{host}:{port}", "fingerprint": fingerprint},
        "recording": {
            jid: {"durable-until": format_utc(utc_us)} for jid, utc_us in durable_us.items()
        },
        "sealed": sealed,
        "bytes": size,
        "maxspace": maxspace,
        "message": message,
        **({} if https is None else {"https": https}),
    }
