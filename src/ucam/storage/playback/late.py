"""Calls for recordings, loaded when the first one comes: WebRTC costs 30 MB that most storages
don't need most of the time.
"""

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ucam.protocol.messages import AnswerMedia, EndMedia, IceServer, OfferMedia, RequestMedia
from ucam.storage.playback.handler import Handler

if TYPE_CHECKING:
    from ucam.storage.playback.peers import Peers

MODULE = "ucam.storage.playback.peers"
MOST_WAITING = 64  # messages while it is being loaded; more are dropped, as are calls above a limit
Send = Callable[[OfferMedia | EndMedia], object]


class LatePeers:
    """`Peers`, made by the first request."""

    def __init__(self, handler: Handler, send: Send, tasks: asyncio.TaskGroup) -> None:
        self._handler = handler
        self._send = send
        self._tasks = tasks
        self._peers: Peers | None = None
        self._waiting: list[Callable[[Peers], None]] | None = None  # None: nobody has asked yet
        self._ice_servers: tuple[IceServer, ...] = ()
        self._closed = False

    @property
    def ice_servers(self) -> tuple[IceServer, ...]:
        """As the room says."""
        return self._ice_servers

    @ice_servers.setter
    def ice_servers(self, servers: tuple[IceServer, ...]) -> None:
        self._ice_servers = servers
        if self._peers is not None:
            self._peers.ice_servers = servers

    @property
    def viewers(self) -> list[str]:
        """Full JIDs of those who have calls."""
        return [] if self._peers is None else self._peers.viewers

    def request(self, message: RequestMedia, allowed: frozenset[str], role: str = "player") -> None:
        """A viewer wants recordings."""
        if self._waiting is None and not self._closed:
            self._waiting = []
            self._tasks.create_task(self._load())
        self._do(lambda peers: peers.request(message, allowed, role))

    def answer(self, message: AnswerMedia) -> None:
        """A viewer's answer or candidate."""
        self._do(lambda peers: peers.answer(message))

    def end(self, message: EndMedia) -> None:
        """A viewer ends its call."""
        self._do(lambda peers: peers.end(message))

    def gone(self, jid: str) -> None:
        """A viewer has left the room."""
        self._do(lambda peers: peers.gone(jid))

    def _do(self, what: "Callable[[Peers], None]") -> None:
        if self._peers is not None:
            what(self._peers)
        elif self._waiting is not None and len(self._waiting) < MOST_WAITING:
            self._waiting.append(what)

    async def _load(self) -> None:
        # In a thread: recordings go on meanwhile.
        module = await asyncio.to_thread(importlib.import_module, MODULE)
        if self._closed:
            return
        peers: Peers = module.Peers(self._handler, self._send, self._tasks)
        peers.ice_servers = self._ice_servers
        self._peers = peers
        waiting, self._waiting = self._waiting or [], []
        for each in waiting:
            each(peers)

    async def close(self) -> None:
        """End all calls."""
        self._closed = True
        if self._peers is not None:
            await self._peers.close()
