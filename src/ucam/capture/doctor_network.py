"""`ucam doctor`, the network: names, the web application, the token, the storage."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ucam.base.tokens import TokenError, Verifier, read_keys
from ucam.capture.address import Address, AddressError, KnownStorage
from ucam.capture.config import CaptureConfig
from ucam.capture.connection import Connection, SendError
from ucam.capture.trouble import explain
from ucam.device.http import WebRefused, WebUnavailable, request
from ucam.device.token import TokenFileError, TokenStore
from ucam.rtsp.client import DurableUntil, Publisher, format_durable

CONNECT_TIMEOUT_S = 5.0
ANOTHER = "make a new one on the web machine: ucam token JID --config web.toml"


@dataclass(frozen=True, slots=True)
class Finding:
    """`good` None: can't be told, or nothing to check."""

    what: str
    good: bool | None
    text: str


async def network(config: CaptureConfig) -> AsyncIterator[Finding]:
    """All of them, one after the other."""
    storage, problem = _known_storage(config)
    hosts = [urlsplit(config.web.url).hostname or ""]
    hosts += [storage.host] if storage is not None else []
    for host in dict.fromkeys(hosts):
        if (found := await _name(host)) is not None:
            yield found
    yield await _web(config.web.url)
    token, finding = _token(config)
    yield finding if token is None else await _accepted(config, token)
    if problem is not None:
        yield problem
    elif storage is not None:
        yield await _storage(config, storage, token)


async def _name(host: str) -> Finding | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None  # nothing to look up
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        hint = "is it right, and does this network's name server work (resolvectl query)?"
        return Finding("name", False, f"{host} isn't found ({error.strerror}); {hint}")
    return Finding("name", True, f"{host} is {', '.join(dict.fromkeys(a[4][0] for a in found))}")  # type: ignore[misc]


async def _web(url: str) -> Finding:
    try:
        await request(f"{url}/healthz")
    except (WebUnavailable, WebRefused) as error:
        return Finding("web", False, f"{url}: {error}; is it up, and is [web] url right?")
    return Finding("web", True, f"{url} answers")


def _token(config: CaptureConfig) -> tuple[TokenStore | None, Finding]:
    """The token as far as its file tells."""
    try:
        store = TokenStore(config.device.token_file, config.web.url)
    except TokenFileError as error:
        return None, Finding("token", False, str(error))
    life = store.life
    if life.subject != str(config.device.jid):
        text = f"it is the token of {life.subject}, [device] jid is {config.device.jid}"
        return None, Finding("token", False, f"{text}: put the right one there")
    until = time.strftime("%F %T UTC", time.gmtime(life.expires_s))
    if life.expires_s <= time.time():
        return None, Finding("token", False, f"it ended at {until}: {ANOTHER}")
    return store, Finding("token", None, f"of {life.subject}, until {until}")


async def _accepted(config: CaptureConfig, store: TokenStore) -> Finding:
    """Whether the web application's keys are what signed it."""
    until = time.strftime("%F %T UTC", time.gmtime(store.life.expires_s))
    known = f"of {store.life.subject}, until {until}"
    try:
        keys = read_keys(await request(f"{config.web.url}/.well-known/jwks.json"))
    except (WebUnavailable, WebRefused, TokenError) as error:
        return Finding("token", None, f"{known}; can't be checked without the web ({error})")
    try:
        Verifier(config.web.url, lambda: keys).verify(store.token, time.time())
    except TokenError as error:
        return Finding(
            "token", False, f"the web application doesn't accept it ({error}): {ANOTHER}"
        )
    return Finding("token", True, f"{known}, signed by the web application")


def _known_storage(config: CaptureConfig) -> tuple[Address | None, Finding | None]:
    token = config.device.token_file
    try:
        known = KnownStorage(config.storage, token.with_name(token.name + ".storage.json"))
    except AddressError as error:
        return None, Finding("storage", False, f"[storage] {error}")
    if known.address is None:
        hint = "start ucam capture once while both are connected, or write [storage] url"
        text = f"not known yet: it announces itself in the room; {hint}"
        return None, Finding("storage", None, text)
    return known.address, None


async def _storage(config: CaptureConfig, address: Address, token: TokenStore | None) -> Finding:
    """Connect as the sender does, and ask what is durable; nothing is announced."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=address.tls()
            )
    except (OSError, TimeoutError) as error:
        return Finding("storage", False, explain(error, address.url))
    try:
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if not address.check(certificate):
            text = f"{address.url} shows another certificate than expected"
            return Finding("storage", False, f"{text}: is it the storage, was it set up anew?")
        if token is None:
            return Finding("storage", True, f"{address.url} answers, its certificate is right")
        publisher = Publisher(f"{address.url}/{config.device.jid}", token.token)
        connection = Connection(publisher, reader, writer)
        publisher.start()
        connection.flush()
        answer = await connection.wait_for(DurableUntil)
        assert isinstance(answer, DurableUntil)
    except (OSError, TimeoutError, SendError) as error:
        return Finding("storage", False, explain(error, address.url))
    finally:
        writer.transport.abort()
    until = format_durable(answer.position).rpartition(" ")[2]
    text = f"{address.url}: its certificate is right, it accepts the token, has pictures until"
    return Finding("storage", True, f"{text} {until}")
