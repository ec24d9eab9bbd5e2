"""How mails read: the login link, and what is wrong with devices. Text and HTML of the same words.

Every header is built from parsed parts: a JID holds neither line ends nor quotes, and what devices
say of themselves stands in the body alone, so nobody writes headers into a mail.
"""

import html
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import make_msgid
from zoneinfo import ZoneInfo

from ucam.base.jid import JID
from ucam.web.alerts import Kind, News

_LOGIN_TEXT = """\
Hello,

press this link to see your cameras:

{link}

It works once, within {minutes}, in any browser.

You did not ask for it? Then do nothing: without the link nobody gets in.

{site}
"""

_LOGIN_HTML = """\
<p style="margin:0 0 20px">Press the button to see your cameras.</p>
<p style="margin:0 0 20px"><a href="{link}" style="display:block;padding:14px 20px;\
border-radius:8px;background:#171916;color:#ecede9;text-align:center;text-decoration:none;\
font-weight:600">See my cameras</a></p>
<p style="margin:0 0 20px">It works once, within {minutes}, in any browser.</p>
<p style="margin:0 0 20px;font-size:14px;line-height:20px">You did not ask for it? Then do nothing:
without the link nobody gets in.</p>
<p style="margin:0;font-size:14px;line-height:20px">{site}</p>
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="margin:0;padding:24px 16px;background:#ecede9;color:#171916;\
font:16px/24px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif">
<div style="max-width:440px;margin:0 auto">
{content}</div>
</body>
</html>
"""

_ENTRY = """\
<p style="margin:0 0 4px;font-weight:600">{head}</p>
<p style="margin:0 0 20px">{body}</p>
"""

_BEGAN = {
    Kind.OFFLINE: "is offline",
    Kind.NOT_RECORDING: "records nothing",
    Kind.STORAGE: "can't reach its storage",
    Kind.DISK: "has trouble with its disk",
    Kind.CLOCK: "has a wrong clock",
}
_ENDED = {
    Kind.OFFLINE: "is connected again",
    Kind.NOT_RECORDING: "records again",
    Kind.STORAGE: "reaches its storage again",
    Kind.DISK: "can write again",
    Kind.CLOCK: "has the right time again",
}


def login_mail(
    sender: Address, to: JID, link: str, validity_s: float, site: str, now_s: float
) -> EmailMessage:
    """The mail with a login link."""
    words = {"link": link, "minutes": _minutes(validity_s), "site": site}
    escaped = {name: html.escape(word) for name, word in words.items()}
    content = _LOGIN_HTML.format(**escaped)
    title = "Your link to ucam"
    return _mail(sender, to, title, (_LOGIN_TEXT.format(**words), content), now_s)


def alert_mail(
    sender: Address,
    to: JID,
    news: Sequence[News],
    name_of: Callable[[JID], tuple[str, str, str | None]],
    site: str,
    now_s: float,
) -> EmailMessage:
    """The mail that tells `news`. `name_of`: a device's name, its location's title and zone."""
    entries = [entry(one, *name_of(one.subject.device)) for one in news]
    began = sum(one.until_s is None for one in news)
    if len(news) == 1:
        title = entries[0][0]
    elif began:
        title = f"{began} thing{'s' if began > 1 else ''} want{'' if began > 1 else 's'} a look"
    else:
        title = f"{len(news)} things are well again"
    text = "\n\n".join(f"{head}\n{body}" for head, body in entries)
    page = "".join(_ENTRY.format(head=html.escape(h), body=html.escape(b)) for h, b in entries)
    health = f"{site}/health"
    text = f"{text}\n\nHow all devices are now:\n{health}\n"
    page += (
        f'<p style="margin:0"><a href="{html.escape(health)}" style="color:#171916">'
        "How all devices are now</a></p>\n"
    )
    return _mail(sender, to, f"ucam: {title}", (text, page), now_s)


def entry(one: News, name: str, place: str, zone: str | None) -> tuple[str, str]:
    """A line of news in words: what has happened, and since when."""
    since = _clock(one.since_s, zone)
    kind = one.subject.kind
    if one.until_s is None:
        return f"{name} ({place}) {_BEGAN[kind]}", f"Since {since}. {one.text}"
    until = _clock(one.until_s, zone)
    return f"{name} ({place}) {_ENDED[kind]}", f"It was not from {since} to {until}."


def _clock(at_s: float, zone: str | None) -> str:
    moment = datetime.fromtimestamp(at_s, UTC if zone is None else ZoneInfo(zone))
    return moment.strftime("%d %b %H:%M") + (" UTC" if zone is None else "")


def _minutes(validity_s: float) -> str:
    if validity_s < 120:
        return f"{round(validity_s)} seconds"
    return f"{round(validity_s / 60)} minutes"


def _mail(
    sender: Address, to: JID, subject: str, bodies: tuple[str, str], now_s: float
) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = Address(username=to.local, domain=to.domain)
    # A device's name stands in it: whatever a device calls itself, a header is one line.
    mail["Subject"] = " ".join(subject.split())[:120]
    mail["Date"] = datetime.fromtimestamp(now_s, UTC)
    mail["Message-ID"] = make_msgid(domain=sender.domain)
    mail["Auto-Submitted"] = "auto-generated"
    text, content = bodies
    page = _PAGE.format(title=html.escape(subject), content=content)
    # As it is wherever possible: quoted-printable breaks links for who reads the source.
    cte = "7bit" if (text + page).isascii() else "quoted-printable"
    mail.set_content(text, cte=cte)
    mail.add_alternative(page, subtype="html", cte=cte)
    return mail
