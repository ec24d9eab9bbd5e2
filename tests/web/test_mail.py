import asyncio
import contextlib
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as mail_policy
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from support.smtp import (
    HANGS_UP,
    Babbling,
    Box,
    Deaf,
    Gone,
    Liar,
    make_certificate,
    server_context,
    smtp_server,
)
from ucam.base.backoff import Backoff
from ucam.base.config import ConfigError, WrongValueError
from ucam.base.jid import JID
from ucam.web import mail as mail_module
from ucam.web.config import Smtp, sender_address
from ucam.web.letters import login_mail
from ucam.web.mail import Mailer, MailServer, Outbox, mail_way
from web.helpers import ANN, NOW_S, TOML, link_in, running

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


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    return make_certificate(tmp_path / "mail.pem")


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
        async with working(Mailer(way, quick)) as mailer:
            mailer.submit(a_mail(), 60)
            await until(lambda: box.mails)
    assert box.tried == 3


async def test_who_is_told_to_wait_holds_up_nobody_else() -> None:
    box = Box("450 greylisted, come back later")
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, lambda: Backoff(0.5, 0.5))) as mailer:
            mailer.submit(a_mail(), 60)
            mailer.submit(a_mail("bob@example.com"), 60)
            await until(lambda: len(box.mails) == 2)
    assert [mail["To"] for mail in box.mails] == ["bob@example.com", ANN]


async def test_a_mail_that_came_too_late_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    box = Box(*["451 busy"] * 100)
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick)) as mailer:
            mailer.submit(a_mail(), 0.1)
            await until(lambda: not mailer.waiting)
    assert 1 < box.tried < 100
    assert "given up: 451 busy" in caplog.text


async def test_a_final_no_is_taken_for_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    box = Box("550 no such user")
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick)) as mailer:
            mailer.submit(a_mail(), 60)
            await until(lambda: not mailer.waiting)
            mailer.submit(a_mail("bob@example.com"), 60)
            await until(lambda: box.mails)
    assert [mail["To"] for mail in box.mails] == ["bob@example.com"]
    assert "550 no such user" in caplog.text
    assert "#t=" not in caplog.text


class Unknown(Box):
    """Knows none of the recipients, and says so before it has seen a mail."""

    async def handle_RCPT(self, *_: object) -> str:  # noqa: N802
        self.tried += 1
        return "550 no such user"


async def test_an_address_that_nobody_has_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    box = Unknown()
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick)) as mailer:
            mailer.submit(a_mail(), 60)
            await until(lambda: not mailer.waiting)
    assert box.tried == 1
    assert "given up: 550 no such user" in caplog.text


# Servers that lie


async def arrived(box: Box, kind: type[SMTP] = SMTP) -> list[EmailMessage]:
    """One mail is submitted: what has arrived when nothing more is tried."""
    async with smtp_server(box, kind=kind) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick)) as mailer:
            mailer.submit(a_mail(), 60)
            await until(lambda: not mailer.waiting)
    return box.mails


@pytest.mark.parametrize("kind", [Gone, Babbling, Deaf])
async def test_what_goes_wrong_behind_a_yes_is_no_reason_to_send_it_again(
    kind: type[SMTP], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT_S", 0.5)
    assert len(await arrived(Box(), kind)) == 1


async def test_a_server_that_takes_its_time_gets_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the mail, and says so later than it may take to say anything else."""
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT_S", 0.5)

    class Slow(Box):
        async def handle_DATA(self, *about: Any) -> str:  # noqa: N802
            answer = await super().handle_DATA(*about)
            await asyncio.sleep(1)
            return answer

    assert len(await arrived(Slow())) == 1


@pytest.mark.parametrize("lie", [HANGS_UP, "451 I don't have it"])
async def test_who_keeps_it_and_denies_it_gets_the_same_again(lie: str) -> None:
    """There is no way to know; whoever compares sees that both are one."""
    first, second = await arrived(Liar(lie))
    assert first["Message-ID"]
    assert first.items()[:-1] == second.items()[:-1]  # all but the boundary of its parts
    texts = [mail.get_body(("plain",)) for mail in (first, second)]
    assert texts[0] is not None
    assert texts[1] is not None
    assert texts[0].get_content() == texts[1].get_content()


async def test_of_two_copies_one_link_works(tmp_path: Path) -> None:
    """The whole way: asked once, in the mailbox twice, and one session comes of it."""
    box = Liar(HANGS_UP)
    async with smtp_server(box) as port:
        text = TOML.replace('outbox = "outbox"', f'url = "smtp://127.0.0.1:{port}"')
        async with running(tmp_path, text) as web:
            answer = await web.http.post("/auth", json={"email": ANN})
            assert answer.status_code == 202
            async with asyncio.timeout(30):
                while len(box.mails) < 2:
                    await asyncio.sleep(0.02)
            links = {link_in(mail.as_bytes()) for mail in box.mails}
            assert len(links) == 1
            tries = [await web.http.post("/auth", json={"token": links.copy().pop()}) for _ in "ab"]
            assert [answer.status_code for answer in tries] == [200, 401]


async def test_who_keeps_it_and_says_never_gets_it_once() -> None:
    assert len(await arrived(Liar("554 I won't have it"))) == 1


async def test_one_that_is_slow_holds_up_nobody_else() -> None:
    over = asyncio.Event()

    class Slow(Box):
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            if envelope.rcpt_tos == [ANN]:
                await over.wait()
            return await super().handle_DATA(server, session, envelope)

    box = Slow()
    async with smtp_server(box) as port:
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        async with working(Mailer(way, quick)) as mailer:
            mailer.submit(a_mail(), 60)
            mailer.submit(a_mail("bob@example.com"), 60)
            await until(lambda: box.mails)
            assert [mail["To"] for mail in box.mails] == ["bob@example.com"]
            over.set()
            await until(lambda: not mailer.waiting)
    assert [mail["To"] for mail in box.mails] == ["bob@example.com", ANN]


async def test_the_queue_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mailer = Mailer(Outbox(tmp_path / "outbox"))
    for number in range(105):
        mailer.submit(a_mail(f"p{number}@example.com"), 60)
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
        "smtp://mail.example.com",  # and so would the link
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
    mailer.submit(a_mail(), 60)
    await way.sending.wait()
    task.cancel()
    _, pending = await asyncio.wait({task}, timeout=5)
    assert not pending
    assert task.cancelled()


async def test_a_server_without_tls_gets_no_mail_where_tls_is_wanted() -> None:
    box = Box()
    async with smtp_server(box) as port:
        with pytest.raises(aiosmtplib.SMTPException):
            await MailServer(f"smtp+starttls://127.0.0.1:{port}", None).send(a_mail())
    assert box.tried == 0


async def test_a_server_that_says_nothing_costs_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail_module, "SEND_TIMEOUT_S", 0.2)
    came, gone = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()  # until the other side gives up
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        way = MailServer(f"smtp://127.0.0.1:{port}", None)
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await way.send(a_mail())
        assert came.is_set()
        async with asyncio.timeout(20):
            await gone.wait()
