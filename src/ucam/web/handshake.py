"""A WebSocket's handshake: who comes, how they are let in, and the two forms of a refusal.

A browser learns why it is refused only from a close code, which needs an accepted socket; everybody
else gets an HTTP status.
"""

import asyncio
import contextlib
import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from litestar.types import Scope
from litestar.types import Send as AsgiSend

from ucam.base.jid import JID, JIDError
from ucam.base.tokens import Claims
from ucam.web.members import Newcomer

MAX_NAME_CHARACTERS = 64
MAX_CAPABILITIES = 16
MAX_CAPABILITY_CHARACTERS = 32
CLOSE_TIMEOUT_S = 5.0


async def accept(send: AsgiSend, protocol: str | None) -> None:
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": []})


async def refuse(
    send: AsgiSend, origin: str | None, status: int, close_code: int, text: str
) -> None:
    """Refuse in the form that the asker understands."""
    if origin is None:
        await http_refusal(send, status, text)
    else:
        await accept(send, None)
        await close(send, close_code, text)


async def close(send: AsgiSend, code: int, reason: str) -> None:
    # A peer that takes nothing takes no farewell either; the server's heartbeat ends it then.
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            # RFC 6455 section 5.5: at most 123 bytes.
            await send({"type": "websocket.close", "code": code, "reason": reason[:120]})


async def http_refusal(send: AsgiSend, status: int, text: str, *, plain: bool = False) -> None:
    """Refuse a handshake with an HTTP status (ASGI's WebSocket Denial Response)."""
    kind = "http.response" if plain else "websocket.http.response"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    start = {"type": f"{kind}.start", "status": status, "headers": headers}
    body = {"type": f"{kind}.body", "body": text.encode(), "more_body": False}
    for event in (start, body):
        await send(event)  # type: ignore[arg-type]  # Litestar's types lack the denial response


def headers_of(scope: Scope) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def is_this_machine(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def newcomer(claims: Claims, query: dict[str, list[str]], arrival: int = 0) -> Newcomer:
    """Who enters, by its token and the address it came with; raises `ValueError`."""
    jid = claims.jid
    resource = query.get("resource", [""])[0] or secrets.token_hex(4)
    try:
        full: JID = jid.with_resource(resource)
    except JIDError as error:
        raise ValueError(str(error)) from None
    name = "".join(c for c in query.get("name", [""])[0] if c.isprintable()).strip()
    capabilities = tuple(c for c in query.get("capabilities", [""])[0].split(",") if c)
    if len(capabilities) > MAX_CAPABILITIES or any(
        len(c) > MAX_CAPABILITY_CHARACTERS or not c.isprintable() for c in capabilities
    ):
        raise ValueError(
            f"at most {MAX_CAPABILITIES} capabilities of {MAX_CAPABILITY_CHARACTERS} characters"
        )
    name = name[:MAX_NAME_CHARACTERS] or jid.local
    return Newcomer(full, claims.role, name, capabilities, arrival)


def same_origin(origin: str, public_url: str) -> bool:
    """Whether a browser's Origin header names the public URL's origin (RFC 6454)."""
    try:
        return _origin(origin) == _origin(public_url)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443}
    if parts.scheme not in ports or not parts.hostname:
        raise ValueError("no web origin")
    return parts.scheme, parts.hostname, parts.port or ports[parts.scheme]
