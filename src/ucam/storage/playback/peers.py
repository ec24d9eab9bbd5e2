"""Viewers' WebRTC connections to the recordings: offers, answers, candidates, and their end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aioice import ice
from aiortc import (
    InvalidStateError,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from ucam.protocol.messages import (
    AnswerMedia,
    EndMedia,
    IceCandidate,
    IceServer,
    OfferMedia,
    RequestMedia,
)
from ucam.storage.playback import sctp
from ucam.storage.playback.channel import LOW_BYTES, Channel
from ucam.storage.playback.handler import Handler

_log = logging.getLogger(__name__)
# Consent expires 30 s after a viewer's last word (RFC 7675 §5.1); aioice's 6 failures are up to
# 39 s of spread intervals and waiting, 4 are up to 26 s.
ice.CONSENT_FAILURES = 4
LABEL = "recordings"
MOST_PEERS = 32  # above it a viewer is told that all places are taken
MOST_PEERS_OF_ONE = 4
CONNECT_S = 25.0
MOST_WAITING_CANDIDATES = 64  # more from one viewer before its answer are dropped
MOST_SDP_BYTES = 32_768
Send = Callable[[OfferMedia | EndMedia], object]


@dataclass(slots=True, eq=False)
class Peer:
    """One call."""

    viewer: str
    call: str
    connection: RTCPeerConnection
    wire: RTCDataChannel
    channel: Channel
    candidates: list[IceCandidate] = field(default_factory=list)
    answered: bool = False
    deadline: asyncio.TimerHandle | None = None


class Peers:
    """All calls. `send` puts a message into the room; `tasks` owns what runs."""

    def __init__(self, handler: Handler, send: Send, tasks: asyncio.TaskGroup) -> None:
        self._handler = handler
        self._send = send
        self._tasks = tasks
        self._peers: dict[tuple[str, str], Peer] = {}
        sctp.install()
        self.ice_servers: tuple[IceServer, ...] = ()

    @property
    def viewers(self) -> list[str]:
        """Who is connected or connecting: full JIDs."""
        return sorted({peer.viewer for peer in self._peers.values()})

    # From the room

    def request(self, message: RequestMedia, allowed: frozenset[str], role: str = "player") -> None:
        """A viewer wants recordings; `allowed`: the locations it may see of this storage's.
        `role`: as its token says; people may more than players.
        """
        viewer = message.from_
        if viewer is None:
            return
        of_this = sum(1 for peer in self._peers.values() if peer.viewer == viewer)
        if (viewer, message.call) in self._peers:
            return  # asked twice
        if len(self._peers) >= MOST_PEERS or of_this >= MOST_PEERS_OF_ONE:
            self._send(EndMedia(to=viewer, call=message.call, reason="all places are taken"))
            return
        peer = self._connect(viewer, message.call, allowed, role)
        self._peers[(viewer, message.call)] = peer
        self._run(self._offer(peer), peer)

    def answer(self, message: AnswerMedia) -> None:
        """A viewer's answer or candidate."""
        peer = self._peers.get((message.from_ or "", message.call))
        if peer is None:
            return
        if message.sdp is not None and not peer.answered:
            peer.answered = True
            self._run(self._accept(peer, message.sdp), peer)
        candidate = message.ice
        if candidate is not None and candidate.candidate:
            if peer.connection.remoteDescription is not None:
                self._run(self._add(peer, candidate), peer)
            elif len(peer.candidates) < MOST_WAITING_CANDIDATES:
                peer.candidates.append(candidate)

    def end(self, message: EndMedia) -> None:
        """A viewer ends its call."""
        peer = self._peers.get((message.from_ or "", message.call))
        if peer is not None:
            self._drop(peer, None)

    def gone(self, jid: str) -> None:
        """Somebody left the room: with it the right to look."""
        for peer in [peer for peer in self._peers.values() if peer.viewer == jid]:
            self._drop(peer, None)

    async def close(self) -> None:
        """End every call."""
        peers = list(self._peers.values())
        self._peers.clear()
        for peer in peers:
            self._send(EndMedia(to=peer.viewer, call=peer.call, reason="storage stops"))
        await asyncio.gather(*(self._close(peer) for peer in peers))

    # One call's life

    def _connect(self, viewer: str, call: str, allowed: frozenset[str], role: str) -> Peer:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=ice_servers(self.ice_servers)))
        wire = connection.createDataChannel(LABEL, ordered=True)
        wire.bufferedAmountLowThreshold = LOW_BYTES
        channel = Channel(
            wire,
            self._handler.handle,
            allowed,
            closed=lambda: wire.readyState != "open",
            forget=lambda prefix: sctp.forget(wire, prefix),
            role=role,
            who=viewer.partition("/")[0],
        )
        peer = Peer(viewer, call, connection, wire, channel)
        wire.on("message", channel.message)
        wire.on("bufferedamountlow", channel.drained)
        wire.on("close", lambda: self._drop(peer, "the channel was closed"))
        connection.on("connectionstatechange", lambda: self._state(peer))
        loop = asyncio.get_running_loop()
        peer.deadline = loop.call_later(CONNECT_S, lambda: self._give_up(peer))
        return peer

    def _state(self, peer: Peer) -> None:
        state = peer.connection.connectionState
        _log.info("recordings for %s: %s", peer.viewer, state)
        if state == "connected" and peer.deadline is not None:
            peer.deadline.cancel()
        elif state in ("failed", "closed", "disconnected"):
            # Also when a viewer has fallen silent.
            self._drop(peer, "the connection was lost")

    def _give_up(self, peer: Peer) -> None:
        self._drop(peer, "no connection in time")

    def _run(self, work: Coroutine[Any, Any, None], peer: Peer) -> None:
        self._tasks.create_task(self._guard(work, peer))

    async def _guard(self, work: Coroutine[Any, Any, None], peer: Peer) -> None:
        """What a viewer sends can be wrong in more ways than aiortc has exceptions for."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - one viewer's nonsense ends that viewer's call
            _log.warning("call of %s: %s: %s", peer.viewer, type(error).__name__, error)
            self._drop(peer, "the call could not be set up")

    async def _offer(self, peer: Peer) -> None:
        await peer.connection.setLocalDescription(await peer.connection.createOffer())
        # aiortc gathers before it returns: the description has all candidates.
        sdp = peer.connection.localDescription.sdp
        self._send(OfferMedia(to=peer.viewer, call=peer.call, sdp=sdp))

    async def _accept(self, peer: Peer, sdp: str) -> None:
        if len(sdp) > MOST_SDP_BYTES:
            raise ValueError("the answer is too long")
        description = RTCSessionDescription(sdp=without_hidden_candidates(sdp), type="answer")
        with suppress(InvalidStateError):  # closed meanwhile
            await peer.connection.setRemoteDescription(description)
        waiting, peer.candidates = peer.candidates, []
        for candidate in waiting:
            await self._add(peer, candidate)

    async def _add(self, peer: Peer, found: IceCandidate) -> None:
        text = found.candidate.removeprefix("candidate:")
        if ".local" in text:
            return  # it costs a second to find out; the viewer's own checks reveal its address
        candidate = candidate_from_sdp(text)
        candidate.sdpMid = found.sdp_mid
        candidate.sdpMLineIndex = found.sdp_m_line_index
        await peer.connection.addIceCandidate(candidate)

    def _drop(self, peer: Peer, reason: str | None) -> None:
        if self._peers.pop((peer.viewer, peer.call), None) is None:
            return
        if reason is not None:
            self._send(EndMedia(to=peer.viewer, call=peer.call, reason=reason))
        self._tasks.create_task(self._close(peer))

    async def _close(self, peer: Peer) -> None:
        if peer.deadline is not None:
            peer.deadline.cancel()
        await peer.channel.close()
        await peer.connection.close()


def without_hidden_candidates(sdp: str) -> str:
    """The SDP without mDNS candidates, on which aiortc would wait a second each."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not (line.startswith("a=candidate") and ".local " in line)]
    return "\r\n".join(kept) + "\r\n"


def ice_servers(servers: Sequence[IceServer]) -> list[RTCIceServer]:
    """The room's ICE servers as aiortc wants them."""
    return [
        RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
        for server in servers
    ]
