"""How alert mails read; login mails are in test_mail.py."""

import email
from email.message import EmailMessage
from email.policy import default as mail_policy

from ucam.base.jid import JID
from ucam.web.alerts import Kind, News, Subject
from ucam.web.config import sender_address
from ucam.web.letters import alert_mail

SENDER = sender_address("ucam <cams@example.com>", "x")
ANN, TILL = JID("ann@example.com"), JID("till@shop.loc")
SINCE_S = 1_800_000_000.0


def letter(*news: News, name: str = "Till") -> EmailMessage:
    def name_of(_jid: JID) -> tuple[str, str, str | None]:
        return name, "Harbour Street", "Europe/Lisbon"

    mail = alert_mail(SENDER, ANN, news, name_of, "https://cams.example.com", SINCE_S)
    read = email.message_from_bytes(mail.as_bytes(), policy=mail_policy)
    assert isinstance(read, EmailMessage)
    return read


def body(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def news(kind: Kind = Kind.OFFLINE, text: str = "Look.", until_s: float | None = None) -> News:
    return News(Subject(TILL, kind), text, SINCE_S, until_s)


def test_one_trouble_is_told_by_the_subject_alone() -> None:
    mail = letter(news())
    assert mail["Subject"] == "ucam: Till (Harbour Street) is offline"
    assert mail["To"] == ANN
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "Since 15 Jan 08:00. Look." in body(mail)
    assert "https://cams.example.com/health" in body(mail)
    assert "Since 15 Jan 08:00. Look." in body(mail, "html")
    assert "width=device-width" in body(mail, "html")


def test_well_again() -> None:
    mail = letter(news(until_s=SINCE_S + 600))
    assert mail["Subject"] == "ucam: Till (Harbour Street) is connected again"
    assert "It was not from 15 Jan 08:00 to 15 Jan 08:10." in body(mail)


def test_a_digest() -> None:
    mail = letter(news(), news(Kind.DISK), news(Kind.CLOCK, until_s=SINCE_S))
    assert mail["Subject"] == "ucam: 2 things want a look"
    text = body(mail)
    assert text.count("Till (Harbour Street)") == 3
    ended = letter(news(until_s=SINCE_S), news(Kind.DISK, until_s=SINCE_S))
    assert ended["Subject"] == "ucam: 2 things are well again"
    assert letter(news(), news(until_s=0))["Subject"] == "ucam: 1 thing wants a look"


def test_nothing_that_a_device_says_becomes_a_header_or_html() -> None:
    evil = "Till\r\nBcc: eve@example.com\r\n\r\n<script>"
    mail = letter(news(text="<b>\r\n.\r\nMAIL FROM"), name=evil)
    assert mail["Bcc"] is None
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    }
    assert "<script" not in body(mail, "html")
    assert "<b>" not in body(mail, "html")
