import asyncio
import contextlib
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as mail_policy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ucam.base.backoff import Backoff
from ucam.base.config import ConfigError, WrongValueError
from ucam.base.jid import JID
from ucam.web.config import Smtp, sender_address
from ucam.web.letters import login_mail
from ucam.web.mail import Mailer, MailServer, Outbox, mail_way
from web.helpers import ANN, NOW_S

SENDER = sender_address("ucam <cams@example.com>", "x")
LINK = "https://cams.example.com/login#t=abc"


def a_mail(to: str = ANN) -> EmailMessage:
    return login_mail(SENDER, JID.parse(to), LINK, 600, "https://cams.example.com", NOW_S)


# What a mail says


def test_a_login_mail_reads_well_as_text_and_as_html() -> None:
    mail = email.message_from_bytes(a_mail().as_bytes(), policy=mail_policy)
    assert mail["From"] == "ucam <cams@example.com>"
    assert mail["To"] == ANN
    assert mail["Subject"] == "Your link to ucam"
    assert mail["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    assert f"\n{LINK}\n" in text.get_content()
    assert "within 10 minutes" in text.get_content()
    assert f'href="{LINK}"' in page.get_content()
    assert "width=device-width" in page.get_content()
    # Whoever reads the source finds the link in one piece.
    assert LINK in a_mail().as_string()


@pytest.mark.parametrize(("validity_s", "words"), [(60, "60 seconds"), (5400, "90 minutes")])
def test_the_links_life_in_words(validity_s: float, words: str) -> None:
    assert words in login_mail(SENDER, JID.parse(ANN), LINK, validity_s, "x", 0).as_string()


def test_html_is_escaped() -> None:
    link = 'https://x/"><script>&'
    page = login_mail(SENDER, JID.parse(ANN), link, 600, "x", 0).get_body(("html",))
    assert page is not None
    assert "<script" not in page.get_content()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ucam <cams@example.com>", Address("ucam", "cams", "example.com")),
        ("cams@example.com", Address("", "cams", "example.com")),
        ("ucam", Address("ucam", "ucam", "cams.local")),
    ],
)
def test_senders(text: str, expected: Address) -> None:
    assert sender_address(text, "cams.local") == expected


@pytest.mark.parametrize("text", ["ucam <a@b.c>\nBcc: x@y.z", "a b <@>", "ucam\r\nBcc: x"])
def test_senders_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not usable"):
        sender_address(text, "cams.local")


# How it gets out


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
        self.mails.append(mail)
        self.tls.append(session.ssl is not None)
        return "250 OK"


@asynccontextmanager
async def smtp_server(
    box: Box, smtps: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, hostname="mail.example.com", **options), "127.0.0.1", 0, ssl=smtps
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "mail.pem"
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
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@asynccontextmanager
async def working(mailer: Mailer) -> AsyncIterator[Mailer]:
    task = asyncio.ensure_future(mailer.run())
    try:
        yield mailer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def quick() -> Backoff:
    return Backoff(first_s=0.01, longest_s=0.02)


async def test_a_mail_arrives() -> None:
    box = Box()
    async with smtp_server(box) as port:
        await MailServer(f"smtp://127.0.0.1:{port}", None).send(a_mail())
    assert [mail["To"] for mail in box.mails] == [ANN]
    assert box.tls == [False]


async def test_starttls_with_a_password(certificate: Path) -> None:
    box = Box()

    def login(_s: object, _session: object, _e: object, _m: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"cams", b"north"))

    options: dict[str, Any] = {
        "tls_context": server_context(certificate),
        "require_starttls": True,
        "authenticator": login,
        "auth_required": True,
    }
    trusted = ssl.create_default_context(cafile=certificate)
    async with smtp_server(box, **options) as port:
        url = f"smtp+starttls://cams@127.0.0.1:{port}"
        await MailServer(url, "north", trusted).send(a_mail())
        assert box.tls == [True]
        # A server whose certificate nobody vouches for gets neither password nor mail.
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await MailServer(url, "north").send(a_mail())
    assert len(box.mails) == 1


async def test_smtps(certificate: Path) -> None:
    box = Box()
    trusted = ssl.create_default_context(cafile=certificate)
    async with smtp_server(box, smtps=server_context(certificate)) as port:
        await MailServer(f"smtps://127.0.0.1:{port}", None, trusted).send(a_mail())
    assert len(box.mails) == 1


async def test_a_server_that_is_away_for_a_while_costs_no_mail() -> None:
    box = Box("451 busy", "421 later")
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick())) as mailer:
            mailer.submit(a_mail())
            await until(lambda: box.mails)
    assert box.tried == 3


async def test_a_final_no_is_taken_for_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    box = Box("550 no such user")
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick())) as mailer:
            mailer.submit(a_mail())
            mailer.submit(a_mail("bob@example.com"))
            await until(lambda: box.mails)
    assert [mail["To"] for mail in box.mails] == ["bob@example.com"]
    assert "550 no such user" in caplog.text
    assert "#t=" not in caplog.text


async def test_the_queue_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mailer = Mailer(Outbox(tmp_path / "outbox"))
    for number in range(105):
        mailer.submit(a_mail(f"p{number}@example.com"))
    assert caplog.text.count("dropped") == 5
    async with working(mailer):
        await until(lambda: len(list((tmp_path / "outbox").glob("*.eml"))) == 100)


async def test_the_outbox_keeps_mails_and_logs_the_link(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await Outbox(tmp_path / "outbox").send(a_mail())
    (path,) = (tmp_path / "outbox").glob("*.eml")
    assert path.stat().st_mode & 0o777 == 0o600
    assert email.message_from_bytes(path.read_bytes())["To"] == ANN
    assert LINK in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtps://",
        "smtps://u:secret@mail.example.com",
        "smtps://mail.example.com:99999",
        "smtps://user@mail.example.com",  # and no password file
        "smtp://user@mail.example.com",  # the password would travel in the clear
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(WrongValueError, match="^url: ") as error:
        Smtp(url=url)
    assert "secret" not in str(error.value)


def test_the_password_comes_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("north\n")
    url = "smtp+starttls://cams@mail.example.com"
    assert isinstance(mail_way(Smtp(url=url, password_file=file)), MailServer)
    with pytest.raises(ConfigError, match="missing"):
        mail_way(Smtp(url=url, password_file=tmp_path / "missing"))


class Stubborn(Outbox):
    """Swallows a cancellation, as `asyncio.wait_for` may do before Python 3.12."""

    def __init__(self) -> None:
        self.sending = asyncio.Event()

    async def send(self, mail: EmailMessage) -> None:
        self.sending.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_it_ends_when_it_is_told_to() -> None:
    way = Stubborn()
    mailer = Mailer(way)
    task = asyncio.ensure_future(mailer.run())
    mailer.submit(a_mail())
    await way.sending.wait()
    task.cancel()
    _, pending = await asyncio.wait({task}, timeout=5)
    assert not pending
    assert task.cancelled()
