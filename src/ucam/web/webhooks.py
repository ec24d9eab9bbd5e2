"""Alerts as HTTP requests: `POST` with a JSON body to each address of `alerts.webhooks-file`.

Such an address is a secret (who knows it writes there), so it stands in a file of its own and no
log shows more of it than its host. What can't be delivered is tried again for an hour.
"""

import asyncio
import hashlib
import hmac
import logging
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ucam import __version__
from ucam.base.backoff import Backoff
from ucam.base.config import ConfigError
from ucam.base.hosts import is_near
from ucam.base.jid import JID
from ucam.base.times import format_utc
from ucam.web.alerts import News
from ucam.web.config import Alerts
from ucam.web.ice import read_secret
from ucam.web.letters import entry
from ucam.web.metrics import WEBHOOKS

_log = logging.getLogger(__name__)

MAX_HOOKS = 16
MAX_WAITING = 100
GOOD_FOR_S = 3600.0
TRY_S = 15.0
GOODBYE_S = 1.0
# Passing states of a server; other refusals stay what they are.
_AGAIN = frozenset({408, 425, 429})
SIGNATURE = "X-Ucam-Signature"


@dataclass(frozen=True, slots=True)
class Hook:
    """One address, taken apart."""

    host: str
    port: int
    tls: bool
    target: str
    authority: str

    @classmethod
    def parse(cls, url: str) -> "Hook":
        """Raises `ValueError`, which doesn't repeat the address."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or parts.port == 0:
            raise ValueError("write it as https://example.com/hook")
        if not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
            raise ValueError("only plain letters, no spaces, no user name")
        tls = parts.scheme == "https"
        if not tls and not is_near(host):
            raise ValueError("to a machine on the Internet write https://")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host, parts.port or (443 if tls else 80), tls, target, parts.netloc)


def read_hooks(path: Path) -> tuple[Hook, ...]:
    """One address a line; empty lines and those that begin with # don't count.

    Raises `ConfigError`.
    """
    found = []
    for number, line in enumerate(read_secret(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            found.append(Hook.parse(line.strip()))
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: no address of a webhook: {error}") from None
    if len(found) > MAX_HOOKS:
        raise ConfigError(f"{path}: at most {MAX_HOOKS} webhooks")
    return tuple(found)


class Settings:
    """What `[alerts]` says of webhooks, read; raises `ConfigError`."""

    def __init__(self, config: Alerts) -> None:
        self.hooks = read_hooks(config.webhooks_file) if config.webhooks_file else ()
        key = config.webhooks_key_file
        self.key = read_secret(key).encode() if key else None


class Webhooks:
    """Delivers in the background; a server that hangs holds up no other."""

    def __init__(
        self, settings: Settings, backoff: Callable[[], Backoff] = lambda: Backoff(2, 300)
    ) -> None:
        self.settings = settings
        self._backoff = backoff
        # Bounded: `submit` drops the newest when so many wait (see `Mailer`).
        self._queue: asyncio.Queue[tuple[Hook, bytes]] = asyncio.Queue()
        self.waiting = 0

    @property
    def anybody(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self.settings.hooks)

    def submit(self, body: bytes) -> None:
        """Queue for every address; never waits."""
        for hook in self.settings.hooks:
            if self.waiting >= MAX_WAITING:
                WEBHOOKS.labels("dropped").inc()
                _log.error("webhook to %s dropped: %d wait already", hook.host, self.waiting)
                continue
            self.waiting += 1
            self._queue.put_nowait((hook, body))

    async def run(self) -> None:
        """Deliver, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                hook, body = await self._queue.get()
                tasks.create_task(self._deliver(hook, body))

    async def _deliver(self, hook: Hook, body: bytes) -> None:
        loop, backoff = asyncio.get_running_loop(), self._backoff()
        until_s = loop.time() + GOOD_FOR_S
        while True:
            fate, why = await self._try(hook, body)
            if fate == "again" and loop.time() < until_s:
                _log.warning("webhook to %s not delivered for now: %s", hook.host, why)
                await asyncio.sleep(backoff.next_delay_s())
                continue
            break
        if fate == "sent":
            WEBHOOKS.labels("sent").inc()
        else:
            WEBHOOKS.labels("given up").inc()
            _log.error("webhook to %s given up: %s", hook.host, why)
        self.waiting -= 1

    async def _try(self, hook: Hook, body: bytes) -> tuple[str, str]:
        try:
            async with asyncio.timeout(TRY_S):
                status = await post(hook, body, self.settings.key)
        except TimeoutError:
            return "again", f"no answer in {TRY_S:.0f} s"
        except (OSError, ValueError, EOFError) as error:
            return "again", f"{type(error).__name__}: {error}"
        if 200 <= status < 300:
            return "sent", ""
        again = status >= 500 or status in _AGAIN
        return "again" if again else "refused", f"status {status}"


async def post(hook: Hook, body: bytes, key: bytes | None) -> int:
    """One request (RFC 9112), its status. Raises `OSError`, `EOFError`, `ValueError`.

    A redirect is not followed: it would carry what is secret to wherever it points.
    """
    context = ssl.create_default_context() if hook.tls else None
    reader, writer = await asyncio.open_connection(hook.host, hook.port, ssl=context, limit=8192)
    try:
        lines = [
            f"POST {hook.target} HTTP/1.1",
            f"Host: {hook.authority}",
            f"User-Agent: ucam/{__version__}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if key is not None:
            lines.append(f"{SIGNATURE}: sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}")
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        await writer.drain()
        status = (await reader.readuntil(b"\r\n")).split(b" ", 2)
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or len(status[1]) != 3:
            raise ValueError("it answered no HTTP")
        return int(status[1])
    except asyncio.LimitOverrunError:
        raise ValueError("it answered no HTTP") from None
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await writer.wait_closed()
        writer.transport.abort()


def alert_json(
    news: Sequence[News],
    name_of: Callable[[JID], tuple[str, str, str | None]],
    site: str,
    now_s: float,
) -> bytes:
    """The body. `text` says it all in words, which is what chat services show."""
    lines, alerts = [], []
    for one in news:
        name, place, zone = name_of(one.subject.device)
        head, words = entry(one, name, place, zone)
        lines.append(f"{head}. {words}")
        alerts.append(
            {
                "device": str(one.subject.device),
                "name": name,
                "location": place,
                "kind": str(one.subject.kind),
                "state": "began" if one.until_s is None else "ended",
                "since": format_utc(round(one.since_s * 1e6)),
                "until": None if one.until_s is None else format_utc(round(one.until_s * 1e6)),
                "text": one.text,
            }
        )
    return msgspec.json.encode(
        {
            "text": "\n".join(lines),
            "site": str(site),
            "time": format_utc(round(now_s * 1e6)),
            "alerts": alerts,
        }
    )
