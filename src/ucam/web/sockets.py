"""The room's sockets: moves texts between WebSockets and the room, and ends what must end.

Raw ASGI, because a refusal has two forms (`handshake`).
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import parse_qs

from litestar.enums import ScopeType
from litestar.types import Receive, Scope
from litestar.types import Send as AsgiSend

from ucam.base.tokens import Claims
from ucam.protocol.messages import encode
from ucam.web.access import Access
from ucam.web.auth import Authority, bearer_in, one_credential
from ucam.web.clients import client
from ucam.web.errors import Unauthorized, WrongRequest
from ucam.web.events import AnyEvent, Ended, Envelope
from ucam.web.handshake import (
    accept,
    close,
    headers_of,
    http_refusal,
    is_this_machine,
    newcomer,
    refuse,
    same_origin,
)
from ucam.web.members import (
    CLOSE_LOGIN_AGAIN,
    CLOSE_TOO_SLOW,
    Close,
    ConnectionId,
    Effect,
    Newcomer,
    Opened,
    Tell,
)
from ucam.web.room import Room
from ucam.web.state import StateAway

_log = logging.getLogger(__name__)

MAX_WAITING_MESSAGES = 256
MAX_WAITING_CHARACTERS = 4 << 20
MAX_SOCKETS = 10_000
# No name and no address takes more than one place out of so many. But a proxy on this machine may,
# that doesn't say for whom it asks.
SHARE = 4
ADMITTED_AT_ONCE = 32
# Of Sec-WebSocket-Protocol: the name of ours, and what stands before a token beside it.
PROTOCOLS = "sec-websocket-protocol"
PROTOCOL = "ucam"
BEARER = "bearer."
MAX_PARAMETERS = 20
CLOSE_FAILED = 1011
CLOSE_TRY_LATER = 1013
AWAY = "the application can't reach its memory just now; try again in a minute"
FULL = "too many connections; try again in a minute"
FAILED = "something went wrong here; the log says what"
# Well under the 5 s after which access that was withdrawn must be gone.
WATCH_INTERVAL_S = 1.0
CATCH_UP_INTERVAL_S = 0.05


class Socket:
    """One accepted WebSocket: whose it is, and what waits to be sent."""

    __slots__ = ("_characters", "_news", "_waiting", "alive_until_s", "claims", "closing", "id")

    def __init__(self, identity: ConnectionId, claims: Claims) -> None:
        self.id = identity
        self.claims = claims
        # Asked for in the next round of `watch`: the session may end while the socket opens.
        self.alive_until_s = 0.0
        # Full means that the peer takes its messages too slowly: it is disconnected, for nobody
        # else may wait for it, and dropping messages would leave it with a wrong picture.
        self._waiting: deque[str] = deque()
        self._characters = 0
        self._news = asyncio.Event()
        self.closing: asyncio.Future[Close] = asyncio.get_running_loop().create_future()

    @property
    def session(self) -> str:
        """The id of its session."""
        return self.claims.sid or self.claims.jti

    def put(self, text: str) -> bool:
        """Queue a message; whether there was room for it. A first one always has."""
        if self._waiting and (
            len(self._waiting) >= MAX_WAITING_MESSAGES
            or self._characters + len(text) > MAX_WAITING_CHARACTERS
        ):
            return False
        self._waiting.append(text)
        self._characters += len(text)
        self._news.set()
        return True

    async def next(self) -> str:
        """The message to send next."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        text = self._waiting.popleft()
        self._characters -= len(text)
        return text

    def close(self, code: int, reason: str) -> None:
        """Ask for the end; the first wish counts."""
        if not self.closing.done():
            self.closing.set_result(Close(self.id, code, reason))


class Sockets:
    """All sockets of the room `room`, which may be entered from pages of `origin`.

    `arrive` numbers them, over all processes; `tell` reaches the other processes.
    """

    def __init__(
        self,
        room: Room,
        origin: str,
        arrive: Callable[[], Awaitable[int]],
        max_sockets: int = MAX_SOCKETS,
    ) -> None:
        self._room = room
        self._origin = origin
        self._arrive = arrive
        self._max_sockets = max_sockets
        self._sockets: dict[ConnectionId, Socket] = {}
        self._of_address: Counter[str] = Counter()
        self._ids = count(1)
        # When all come back at once: each waits for its turn, none for an answer that all ask for.
        self._door = asyncio.Semaphore(ADMITTED_AT_ONCE)
        self._away = False
        self.authority: Authority | None = None
        self.on_opened: Callable[[Opened], None] = lambda _opened: None
        self.tell: Callable[[str | None, AnyEvent], None] = lambda _process, _event: None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._sockets)

    # ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """One WebSocket connection, from handshake to end."""
        try:
            await self._connection(scope, receive, send)
        except Exception:  # noqa: BLE001 - the framework around us would log nothing
            _log.exception("a connection failed")
            await close(send, CLOSE_FAILED, FAILED)

    async def _connection(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            await http_refusal(send, 426, "this address speaks WebSocket", plain=True)
            return
        await receive()  # websocket.connect
        headers = headers_of(scope)
        origin = headers.get("origin", [None])[0]
        if origin is not None and not same_origin(origin, self._origin):
            await http_refusal(send, 403, "this page is not ours")
            return
        address = (scope.get("client") or ("", 0))[0]
        with self._place(address) as free:
            if not free:
                await refuse(send, origin, 503, CLOSE_TRY_LATER, FULL)
                return
            await self._admit(scope, headers, address, receive, send)

    async def _admit(
        self,
        scope: Scope,
        headers: dict[str, list[str]],
        address: str,
        receive: Receive,
        send: AsgiSend,
    ) -> None:
        origin = headers.get("origin", [None])[0]
        offered = [p.strip() for p in ",".join(headers.get(PROTOCOLS, [])).split(",")]
        try:
            query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MAX_PARAMETERS)
            token = one_credential(
                [
                    *map(bearer_in, headers.get("authorization", [])),
                    *(p.removeprefix(BEARER) for p in offered if p.startswith(BEARER)),
                    *(token.strip() for token in query.get("auth", [])),
                ]
            )
            assert self.authority is not None
            came = client(address, headers.get("user-agent", [""])[0])
            async with self._door:
                if self._away:
                    raise StateAway("the other processes can't be reached")
                claims = await self.authority.enter(token, came)
                who = newcomer(claims, query, await self._arrive())
        except Unauthorized as error:
            await refuse(send, origin, 401, CLOSE_LOGIN_AGAIN, error.detail)
            return
        except StateAway as error:
            _log.error("a connection is refused: %s", error)
            await refuse(send, origin, 503, CLOSE_TRY_LATER, AWAY)
            return
        except (WrongRequest, ValueError) as error:
            await http_refusal(
                send, 400, error.detail if isinstance(error, WrongRequest) else str(error)
            )
            return
        await accept(send, PROTOCOL if PROTOCOL in offered else None)
        await self._run(Socket(next(self._ids), claims), who, receive, send)

    @contextmanager
    def _place(self, address: str) -> Iterator[bool]:
        """One of the places for connections, told or not; whether there was one."""
        share = self._max_sockets // SHARE
        full = self._of_address.total() >= self._max_sockets or (
            self._of_address[address] >= share and not is_this_machine(address)
        )
        if full:
            _log.warning("a connection of %s is refused: too many are open", address)
            yield False
            return
        self._of_address[address] += 1
        try:
            yield True
        finally:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    async def _run(self, socket: Socket, who: Newcomer, receive: Receive, send: AsgiSend) -> None:
        self._sockets[socket.id] = socket
        _log.info("%s has come", who.jid)
        try:
            self.apply(self._room.connect(socket.id, who, time.time()))
            tasks = (
                asyncio.ensure_future(self._read(socket, receive)),
                asyncio.ensure_future(_write(socket, send)),
            )
            try:
                await asyncio.wait((*tasks, socket.closing), return_when="FIRST_COMPLETED")
            finally:
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            # The room first: whoever comes now sees this connection gone.
            self._sockets.pop(socket.id, None)
            self.apply(self._room.disconnect(socket.id, time.time()))
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError):
                _log.error("socket of %s failed", who.jid, exc_info=result)
                socket.close(CLOSE_FAILED, FAILED)
        wish = socket.closing.result() if socket.closing.done() else None
        _log.info("%s has gone%s", who.jid, f" ({wish.reason})" if wish else "")
        if wish is not None:
            await close(send, wish.code, wish.reason)

    async def _read(self, socket: Socket, receive: Receive) -> None:
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            text = event.get("text")
            if text is None:
                socket.close(1003, "messages are JSON texts")
                return
            self.apply(self._room.receive_text(socket.id, text, time.time()))

    # Effects

    def apply(self, effects: Iterable[Effect]) -> None:
        """Do what the room asked for, in its order; what doing it leads to comes after."""
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            if isinstance(effect, Close):
                self._forget(effect)
                continue
            if isinstance(effect, Tell):
                self.tell(effect.process, effect.event)
                continue
            if isinstance(effect, Opened):
                self.on_opened(effect)
                continue
            text = encode(effect.message)
            for connection in effect.to:
                socket = self._sockets.get(connection)
                if socket is None:
                    continue
                if not socket.put(text):
                    self._forget(Close(connection, CLOSE_TOO_SLOW, "messages are not taken"))
                    todo.extend(self._room.disconnect(connection, time.time()))

    def _forget(self, close: Close) -> None:
        socket = self._sockets.pop(close.connection, None)
        if socket is not None:
            socket.close(close.code, close.reason)

    # What ends sockets

    def change_access(self, access: Access) -> None:
        """Put a reloaded configuration in force, for open sockets too."""
        self.apply(self._room.change_access(access, time.time()))

    def end_session(self, session: str) -> None:
        """Close every socket of a session that has ended, here and in other processes."""
        self.tell(None, Ended(session))
        self._end_session(session)

    def _end_session(self, session: str) -> None:
        for socket in list(self._sockets.values()):
            if socket.session == session:
                self._end(socket, "the session has ended")

    async def watch(self, remember: Callable[[], Awaitable[None]]) -> None:
        """Close sockets whose session ran out, renew what the room renews; for ever.

        A socket lives as long as its session, not its token: whoever recycled over HTTP in time
        keeps the room. `remember` is called now and then to keep what should survive a restart.
        """
        for round_number in count(1):
            await asyncio.sleep(WATCH_INTERVAL_S)
            with contextlib.suppress(StateAway):  # asked again in the next round
                await self._close_the_expired(time.time())
            self.apply(self._room.tick(time.time()))
            if round_number % 30 == 0:
                await remember()

    async def _close_the_expired(self, now_s: float) -> None:
        assert self.authority is not None
        for socket in list(self._sockets.values()):
            if socket.alive_until_s <= now_s:
                socket.alive_until_s = await self.authority.alive_until_s(socket.claims)
                if socket.alive_until_s <= now_s:
                    self._end(socket, "the token has expired")

    async def catch_up(self) -> None:
        """After a storm, tell those who weren't told who came and went; for ever."""
        while True:
            await asyncio.sleep(CATCH_UP_INTERVAL_S)
            if self._room.anybody_behind:
                self.apply(self._room.catch_up(time.time()))

    # Other processes

    def hear(self, envelope: Envelope) -> None:
        """What another process tells."""
        if isinstance(envelope.event, Ended):
            self._end_session(envelope.event.session)
        self.apply(self._room.elsewhere.hear(envelope, time.time()))

    def joined(self) -> None:
        """The other processes can be reached (again); what ended meanwhile is asked for."""
        self._away = False
        for socket in self._sockets.values():
            socket.alive_until_s = 0.0
        self.apply(self._room.elsewhere.joined(time.time()))

    def cut(self) -> None:
        """The other processes can't be reached, nor what they share with this one."""
        self._away = True
        self._room.elsewhere.cut()

    def _end(self, socket: Socket, reason: str) -> None:
        self._forget(Close(socket.id, CLOSE_LOGIN_AGAIN, reason))
        self.apply(self._room.disconnect(socket.id, time.time()))


async def _write(socket: Socket, send: AsgiSend) -> None:
    while True:
        await send({"type": "websocket.send", "text": await socket.next(), "bytes": None})
