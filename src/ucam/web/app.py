"""The ASGI application: routes, the headers of every answer, the log of every request."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Litestar, get
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler, asgi
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ucam import __version__
from ucam.web.errors import away, fail, nested, refuse
from ucam.web.metrics import count_request
from ucam.web.state import StateAway

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024
Handlers = Sequence[HTTPRouteHandler]


def make_app(
    public_url: str, sockets: Callable[[Scope, Receive, Send], Awaitable[None]], *routes: Handlers
) -> ASGIApp:
    """The whole application, ready for a server: the room's sockets, and every module's routes."""

    @get("/healthz", summary="Whether the application answers", tags=["operation"])
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @asgi("/ws", copy_scope=True)
    async def room(scope: Scope, receive: Receive, send: Send) -> None:
        await sockets(scope, receive, send)

    app = Litestar(
        [healthz, room, *(handler for handlers in routes for handler in handlers)],
        exception_handlers={
            HTTPException: refuse,
            RecursionError: nested,
            StateAway: away,
            Exception: fail,
        },
        request_max_body_size=MAX_BODY_BYTES,
        # JSON alone: the documents' usual viewers load their code from other servers.
        openapi_config=OpenAPIConfig(
            title="ucam", version=__version__, path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,
    )
    return Frame(app, security_headers(public_url))


def content_policy(public_url: str, storages: Iterable[str] = ()) -> str:
    """What a page may load: nothing from anywhere else, but recordings from these `storages`
    (origins) in its own network."""
    parts = urlsplit(public_url)
    socket_origin = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "font-src 'self'",
        # Some browsers don't count WebSockets of the same host as 'self'.
        " ".join(("connect-src 'self'", socket_origin, *storages)),
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    return "; ".join(policy)


def security_headers(public_url: str) -> list[tuple[bytes, bytes]]:
    """Headers of every answer that doesn't bring its own."""
    headers = {
        "content-security-policy": content_policy(public_url),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if urlsplit(public_url).scheme == "https":
        headers["strict-transport-security"] = "max-age=31536000"
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class Frame:
    """What is the same for every route: the headers of each answer, refused WebSockets included;
    HEAD wherever GET is; a line in the log without the query, for tokens may stand there."""

    def __init__(self, app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        head = scope["type"] == ScopeType.HTTP and scope["method"] == "HEAD"
        method = scope["method"] if scope["type"] == ScopeType.HTTP else "GET"
        if head:
            scope = cast("Scope", {**scope, "method": "GET"})

        async def send_framed(message: Message) -> None:
            kind: str = message["type"]
            if kind.endswith("http.response.start"):
                # Not only of HTTP: a refused WebSocket is answered so, too.
                answer = cast("dict[str, Any]", message)
                answer["headers"] = self._complete(list(answer["headers"]))
                count_request(method, answer["status"])
                _log.debug("%s %s %d", method, scope["path"], answer["status"])
            elif head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self._app(scope, receive, send_framed)

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        own = {name.lower() for name, _ in headers}
        if b"cache-control" not in own:
            headers.append((b"cache-control", b"no-store"))
        return headers + [header for header in self._headers if header[0] not in own]
