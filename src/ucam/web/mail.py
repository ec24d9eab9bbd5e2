"""How mails get out without anybody waiting for them.

`Mailer` sends in the background through a mail server, or puts them into an outbox folder (the
demo's way), where a login link is logged, too. `letters` writes them.
"""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from ucam.base.backoff import Backoff
from ucam.base.files import write_atomically
from ucam.web.config import MAIL_PORTS, Smtp, check_mail_url
from ucam.web.ice import read_secret
from ucam.web.metrics import MAILS

_log = logging.getLogger(__name__)

MAX_WAITING_MAILS = 100
SEND_TIMEOUT_S = 20.0
# RFC 5321 §4.5.3.2.6: who has the whole mail may look at it for long, and has it; who doesn't wait
# for its answer sends it twice.
LAST_ANSWER_S = 600.0
# At once: one that is slow holds up no other.
SENDERS = 4


class _Patient(aiosmtplib.SMTP):
    """Waits for the answer to a whole mail."""

    async def data(self, message: str | bytes, /, **_: Any) -> aiosmtplib.SMTPResponse:
        return await super().data(message, timeout=LAST_ANSWER_S)


class MailServer:
    """Where `[smtp] url` says: `smtp://`, `smtp+starttls://` or `smtps://[user@]host[:port]`."""

    def __init__(
        self, url: str, password: str | None, tls_context: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(check_mail_url(url))
        user = unquote(parts.username) if parts.username else None
        self._host, self._port = parts.hostname, parts.port or MAIL_PORTS[parts.scheme]
        self._user, self._password = user, password if user else None
        self._starttls = parts.scheme == "smtp+starttls"
        self._tls = parts.scheme == "smtps"
        self._context = tls_context or ssl.create_default_context()

    async def send(self, mail: EmailMessage) -> None:
        """Hand over one mail; raises `aiosmtplib.SMTPException` or `OSError`. It is there once
        the server has said yes, whatever goes wrong behind that.
        """
        client = _Patient(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            start_tls=self._starttls,
            use_tls=self._tls,
            tls_context=self._context if self._tls or self._starttls else None,
            timeout=SEND_TIMEOUT_S,
        )
        async with client:
            await client.send_message(mail)


class Outbox:
    """A folder instead of a mail server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail: EmailMessage) -> None:
        """Write `TIME-RANDOM.eml`, and log the link: whoever reads this log owns the machine."""
        name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}.eml"
        path = self._folder / name
        await asyncio.to_thread(write_atomically, path, mail.as_bytes())
        body = mail.get_body(("plain",))
        text = "" if body is None else str(body.get_content())
        link = next((line for line in text.splitlines() if "/login#t=" in line), None)
        _log.info("mail to %s: %s%s", mail["To"], path, f"\n  {link}" if link else "")


def mail_way(config: Smtp) -> MailServer | Outbox:
    """As `[smtp]` says; raises `ConfigError`."""
    if config.outbox is not None:
        return Outbox(config.outbox)
    password = read_secret(config.password_file) if config.password_file else None
    return MailServer(config.url or "", password)


@dataclass(slots=True)
class _Queued:
    mail: EmailMessage
    until_s: float
    backoff: Backoff


class Mailer:
    """Sends mails in the background; what fails for now is tried again, and holds up no other.

    Each arrives at least once. A server that hangs up, or says no, although it keeps the mail gets
    it again: SMTP has no way to ask. Both copies say the same and have one `Message-ID`, by which
    servers and mail programs know them; a login link in them works once.
    """

    def __init__(
        self, way: MailServer | Outbox, backoff: Callable[[], Backoff] = lambda: Backoff(2, 120)
    ) -> None:
        self._way = way
        self._backoff = backoff
        # Bounded by `waiting`. Full means that the mail server has been away for long: the newest
        # mail is dropped and told, for the person asks again while the older ones still wait.
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()
        self.waiting = 0
        """Mails that are queued, being sent, or waiting for their next try."""

    def change_way(self, way: MailServer | Outbox) -> None:
        """Send by another way from the next try on."""
        self._way = way

    def submit(self, mail: EmailMessage, good_for_s: float) -> None:
        """Queue a mail; never waits. After `good_for_s` it isn't worth another try."""
        if self.waiting >= MAX_WAITING_MAILS:
            MAILS.labels("dropped").inc()
            _log.error("mail to %s dropped: %d mails wait already", mail["To"], self.waiting)
            return
        self.waiting += 1
        until_s = time.monotonic() + good_for_s
        self._queue.put_nowait(_Queued(mail, until_s, self._backoff()))

    async def run(self) -> None:
        """Send what is queued, for ever."""
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(self._send_queued())

    async def _send_queued(self) -> None:
        while True:
            queued = await self._queue.get()
            if not await self._is_done(queued):
                delay_s = queued.backoff.next_delay_s()
                asyncio.get_running_loop().call_later(delay_s, self._queue.put_nowait, queued)
            else:
                self.waiting -= 1

    async def _is_done(self, queued: _Queued) -> bool:
        """Try once; whether it was sent, or is not worth another try."""
        to = queued.mail["To"]
        try:
            await self._send(queued.mail)
        except aiosmtplib.SMTPResponseException as error:
            why, final = f"{error.code} {error.message}", error.code >= 500
        except aiosmtplib.SMTPRecipientsRefused as refused:
            # A mail has one recipient.
            (answer,) = refused.recipients
            why, final = f"{answer.code} {answer.message}", answer.code >= 500
        except (aiosmtplib.SMTPException, OSError) as error:
            why, final = f"{type(error).__name__}: {error}", False
        else:
            MAILS.labels("sent").inc()
            return True
        if final or time.monotonic() >= queued.until_s:
            MAILS.labels("given up").inc()
            _log.error("mail to %s not sent, given up: %s", to, why)
            return True
        _log.warning("mail to %s not sent for now: %s", to, why)
        return False

    async def _send(self, mail: EmailMessage) -> None:
        # In a task of its own: aiosmtplib waits by asyncio.wait_for, which before Python 3.12
        # may swallow a cancellation, and then the service would never end.
        sending = asyncio.ensure_future(self._way.send(mail))
        try:
            await asyncio.wait({sending})
        except asyncio.CancelledError:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            raise
        sending.result()
