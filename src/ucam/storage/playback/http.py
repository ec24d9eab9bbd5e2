"""The same resources over HTTPS on the local network: a thin ASGI application on uvicorn.

A token is needed, of a user or a player: `Authorization: Bearer`, or `?token=` for players.
The page may read the answers, too, where a browser believes the certificate: pages of the web
application's origin, and of no other (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

import asyncio
import logging
import ssl
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    MutableMapping,
)
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn

from ucam.base.service import Fault
from ucam.base.tokens import Claims
from ucam.base.units import Listen
from ucam.storage.access import Access, Denied
from ucam.storage.playback.answers import Answer, Endless, Method, Request, problem
from ucam.storage.playback.handler import Handler

_log = logging.getLogger(__name__)
READ_BYTES = 256 * 1024
_METHODS: dict[str, Method] = {"GET": "GET", "HEAD": "GET", "PUT": "PUT", "DELETE": "DELETE"}
# A browser keeps up to six.
MOST_CONNECTIONS = 256
# A viewer asks every few seconds: longer than uvicorn's 5 s, or each time would be a handshake.
KEEP_ALIVE_S = 30
# What a browser remembers of a preflight; Chromium takes 2 h at most.
PREFLIGHT_S = 7200

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class HttpApi:
    """The ASGI application (https://asgi.readthedocs.io, HTTP 2.x)."""

    def __init__(self, handler: Handler, access: Access, origin: str | None = None) -> None:
        """`origin`: the web application's URL."""
        self._handler = handler
        self._access = access
        self._origin = (
            None if origin is None else "{0.scheme}://{0.netloc}".format(urlsplit(origin))
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _send(Answer(204), send, lambda: False, self._preflight(headers), body=False)
            return
        answer, claims = await self._answer(scope, headers)
        gone = asyncio.Event()
        watching = asyncio.create_task(_watch(receive, gone))
        try:
            body = scope["method"] != "HEAD"
            await _send(
                answer,
                send,
                lambda: gone.is_set() or self._over(claims),
                self._shared(headers),
                body=body,
            )
        finally:
            watching.cancel()
            answer.close()

    def _shared(self, headers: dict[str, str]) -> dict[str, str]:
        """What lets the web application's page read an answer."""
        if self._origin is None or headers.get("origin") != self._origin:
            return {"vary": "origin"}
        return {
            "vary": "origin",
            "access-control-allow-origin": self._origin,
            "access-control-expose-headers": "content-range, etag",
        }

    def _preflight(self, headers: dict[str, str]) -> dict[str, str]:
        """What a browser asks before it sends the page's token."""
        shared = self._shared(headers)
        if "access-control-allow-origin" not in shared:
            return shared
        return {
            **shared,
            "access-control-allow-methods": "GET",
            "access-control-allow-headers": "authorization, range",
            "access-control-max-age": str(PREFLIGHT_S),
            # Of browsers that ask before a public page reaches into a private network.
            "access-control-allow-private-network": "true",
        }

    def _over(self, claims: Claims | None) -> bool:
        """Whether a token isn't good for more of an endless answer."""
        if claims is None:
            return False
        return time.time() > claims.exp or self._access.withdrawn(claims) is not None

    async def _answer(self, scope: Scope, headers: dict[str, str]) -> tuple[Answer, Claims | None]:
        """What to say, and the token that must stay good while it is said, if that has no end."""
        method = _METHODS.get(scope["method"])
        if method is None:
            return problem(405, "bad-method", "only GET, HEAD, PUT and DELETE"), None
        query = scope["query_string"].decode("latin-1")
        if (token := _token(scope["headers"], query)) is None:
            return problem(400, "bad-request", "two different tokens in one request"), None
        try:
            locations, claims = await self._access.viewer(token)
        except Denied as denied:
            answer = problem(denied.status, "denied", str(denied))
            answer.headers["www-authenticate"] = "Bearer"
            return answer, None
        path = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        request = Request(
            path,
            locations,
            headers.get("range"),
            method,
            role=claims.role,
            who=str(claims.jid),
            token=token,
            if_range=headers.get("if-range"),
            if_none_match=headers.get("if-none-match"),
        )
        answer = await self._handler.handle(request)
        return answer, claims if isinstance(answer.body, Endless) else None


def _token(headers: Iterable[tuple[bytes, bytes]], query: str) -> str | None:
    """The one token that a request shows, "" without any, None when several disagree."""
    shown = set()
    for name, value in headers:
        scheme, _, token = value.decode("latin-1").partition(" ")
        if name == b"authorization" and scheme.lower() == "bearer":
            shown.add(token.strip())
    shown |= set(parse_qs(query).get("token", []))
    if len(shown) > 1:
        return None
    return shown.pop() if shown else ""


async def _watch(receive: Receive, gone: asyncio.Event) -> None:
    """uvicorn takes what is sent to nobody without a word: somebody has to notice."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()


async def _send(
    answer: Answer, send: Send, over: Callable[[], bool], also: dict[str, str], *, body: bool
) -> None:
    """`also`: headers beside the answer's own."""
    headers = {**answer.headers, **also, "x-content-type-options": "nosniff"}
    if answer.length is not None and answer.status not in (204, 304):
        headers["content-length"] = str(answer.length)
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if body:
        async for block in _blocks(answer):
            if over():
                break
            # uvicorn waits here until the client has taken it.
            await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _blocks(answer: Answer) -> AsyncIterator[bytes]:
    if isinstance(answer.body, Endless):
        async for block in answer.body.blocks:
            yield block
        return
    position = 0
    while position < (answer.length or 0):
        if isinstance(answer.body, bytes):
            block = answer.body[position : position + READ_BYTES]
        else:
            block = await asyncio.to_thread(answer.body.read, position, READ_BYTES)
        if not block:
            raise OSError("a recording became shorter while it was sent")
        yield block
        position += len(block)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The service has its own signal handlers."""
        yield


class HttpServer:
    """uvicorn inside the service's TaskGroup."""

    def __init__(self, api: HttpApi, listen: Listen, context: ssl.SSLContext) -> None:
        self._listen = listen
        config = uvicorn.Config(
            api,
            host=listen.host,
            port=listen.port,
            log_config=None,
            access_log=False,  # it would log tokens
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
        )
        config.load()
        config.ssl = context
        self._server = _Server(config)

    @property
    def port(self) -> int | None:
        """Where it listens, as long as it does."""
        if not self._server.started:
            return None
        # When it is being stopped its sockets go first, and the status is still told.
        sockets = self._server.servers[0].sockets
        return int(sockets[0].getsockname()[1]) if sockets else None

    async def run(self) -> None:
        """Serve until `stop`."""
        try:
            await self._server.serve()
        except SystemExit:
            # uvicorn's way to say that the address can't be had; it has logged why.
            raise Fault(f"[http] listen = {str(self._listen)!r} can't be had") from None
        finally:
            # Told to end while it was starting, uvicorn leaves its sockets open.
            for server in getattr(self._server, "servers", ()):
                server.close()

    def stop(self) -> None:
        """End `run`."""
        self._server.should_exit = True
