"""A mail server for tests (aiosmtpd), with TLS where it is wanted."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default as mail_policy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Box:
    """A mail server's handler that keeps mails, after refusing some."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.mails: list[EmailMessage] = []
        self.tls: list[bool] = []
        self.tried = 0

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.tried += 1
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=mail_policy)
        assert isinstance(mail, EmailMessage)
        assert envelope.mail_from == "cams@example.com"
        assert envelope.rcpt_tos == [mail["To"]]
        self.mails.append(mail)
        self.tls.append(session.ssl is not None)
        return "250 OK"


HANGS_UP = "hangs up"


def socket_of(server: SMTP) -> asyncio.Transport:
    """Its connection."""
    assert isinstance(server.transport, asyncio.Transport)
    return server.transport


class Liar(Box):
    """Keeps each mail, and at first says something else: `HANGS_UP` is to say nothing."""

    def __init__(self, *lies: str) -> None:
        super().__init__()
        self._lies = list(lies)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        lie = self._lies.pop(0) if self._lies else answer
        if lie == HANGS_UP:
            socket_of(server).abort()
        return lie


class Gone(SMTP):
    """Whoever says goodbye finds it gone."""

    async def smtp_QUIT(self, _arg: str) -> None:  # noqa: N802
        socket_of(self).abort()


class Babbling(SMTP):
    """Answers goodbyes with nonsense."""

    async def smtp_QUIT(self, _arg: str) -> None:  # noqa: N802
        socket_of(self).write(b"\xff\0 451-what\r\n" * 5)
        socket_of(self).close()


class Deaf(SMTP):
    """Never says goodbye."""

    async def smtp_QUIT(self, _arg: str) -> None:  # noqa: N802
        pass


@asynccontextmanager
async def smtp_server(
    box: Box, smtps: ssl.SSLContext | None = None, kind: type[SMTP] = SMTP, **options: Any
) -> AsyncIterator[int]:
    """The server; its port."""
    server = await asyncio.get_running_loop().create_server(
        lambda: kind(box, hostname="mail.example.com", **options), "127.0.0.1", 0, ssl=smtps
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


def make_certificate(
    path: Path, days: int = 1, serial: int = 1, address: str = "127.0.0.1"
) -> Path:
    """A self-signed certificate for an address with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    """For a server with that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
