"""web.toml, as structs. Every key stands in docs/configuration.md."""

import contextlib
import re
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

from ucam.base.config import Section, WrongValueError
from ucam.base.hosts import is_near
from ucam.base.jid import JID
from ucam.base.units import Duration, Listen, Size, StateUrl, WebUrl

# A token must not outlive its signing key, which changes after as long.
MAX_TOKEN_VALIDITY_S = 366 * 86400.0
MAIL_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
MQTT_TOPIC = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+){0,7}")
# A location is also a folder's name in storage.
LOCATION_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


def check_validity(key: str, validity_s: float) -> None:
    """Raises `WrongValueError` for a token's life that keys can't give."""
    if not 1 <= validity_s <= MAX_TOKEN_VALIDITY_S:
        raise WrongValueError(
            key, f"a token lives between 1s and {MAX_TOKEN_VALIDITY_S / 86400:g}d"
        )


Networks = tuple[IPv4Network | IPv6Network, ...]


def networks(key: str, texts: tuple[str, ...]) -> Networks:
    """Addresses and networks as written in a file; raises `WrongValueError`."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError:
            raise WrongValueError(
                key, f'{text!r} is neither an address nor a network such as "192.168.1.0/24"'
            ) from None
    return tuple(found)


class Http(Section, kw_only=True, frozen=True):
    listen: Listen = Listen("127.0.0.1:7070")
    public_url: WebUrl
    data_dir: Path
    cert: Path | None = None
    key: Path | None = None
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    metrics: tuple[str, ...] = ("127.0.0.1", "::1")

    def __post_init__(self) -> None:
        networks("trusted-proxies", self.trusted_proxies)
        networks("metrics", self.metrics)
        if (self.cert is None) != (self.key is None):
            raise WrongValueError("cert", "http.cert and http.key go together")


class UserAuth(Section, kw_only=True, frozen=True):
    allowed_emails: tuple[JID, ...]
    token_validity: Duration = Duration(2 * 3600)
    link_validity: Duration = Duration(600)
    session_lifetime: Duration = Duration(30 * 86400)

    def __post_init__(self) -> None:
        check_validity("token-validity", self.token_validity)


class DeviceAuth(Section, kw_only=True, frozen=True):
    token_validity: Duration = Duration(30 * 86400)

    def __post_init__(self) -> None:
        check_validity("token-validity", self.token_validity)


class Smtp(Section, kw_only=True, frozen=True):
    url: str | None = None
    password_file: Path | None = None
    from_: str = msgspec.field(default="ucam", name="from")
    outbox: Path | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.outbox is None):
            raise ValueError("needs either url (a mail server) or outbox (a folder)")
        user = urlsplit(check_mail_url(self.url)).username if self.url is not None else None
        if user and self.password_file is None:
            raise WrongValueError("url", "it names a user: smtp.password-file is needed")


def check_mail_url(url: str) -> str:
    """`url` if it is one of a mail server; raises `WrongValueError`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in MAIL_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that are none
        usable = False
    if not usable or parts.password:
        raise WrongValueError(
            "url",
            "write it as smtp+starttls://USER@HOST:587, smtps://USER@HOST:465 or "
            "smtp://HOST:25; the password goes into smtp.password-file",
        )
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "smtp" and not local:
        # Whoever reads the link on its way logs in.
        raise WrongValueError("url", "to another machine write smtp+starttls:// or smtps://")
    return url


def sender_address(text: str, site_host: str) -> Address:
    """The `From` of `[smtp] from`: `"ucam <cams@example.com>"`, or a name alone, which then
    writes from this site's host. Raises `ValueError`."""
    bare = "@" not in text
    # Most mail servers take nothing but ASCII in an address; a JID is just that.
    name, address = (text, f"ucam@{site_host}") if bare else parseaddr(text)
    with contextlib.suppress(MessageError, ValueError, IndexError):
        if text.isprintable():
            jid = JID.parse_bare(address)
            return Address(name, jid.local, jid.domain)
    raise ValueError(f'{text!r} is not usable; write "ucam <cams@example.com>"')


def _mail_host(public_url: str) -> str:
    host = urlsplit(public_url).hostname or ""
    return "localhost" if ":" in host else host


class Ice(Section, kw_only=True, frozen=True):
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()
    turn_secret_file: Path | None = None

    def __post_init__(self) -> None:
        if self.turn and self.turn_secret_file is None:
            raise ValueError("turn needs turn-secret-file: a relay is never open to everybody")


class State(Section, kw_only=True, frozen=True):
    url: StateUrl = StateUrl("sqlite")


class Alerts(Section, kw_only=True, frozen=True):
    emails: tuple[JID, ...] = ()
    after: Duration = Duration(120)
    webhooks_file: Path | None = None
    webhooks_key_file: Path | None = None


class Mqtt(Section, kw_only=True, frozen=True):
    url: str
    password_file: Path | None = None
    topic: str = "ucam"
    discovery: str = "homeassistant"

    def __post_init__(self) -> None:
        user = urlsplit(check_mqtt_url(self.url)).username
        if user and self.password_file is None:
            raise WrongValueError("url", "it names a user: mqtt.password-file is needed")
        for key, topic in (("topic", self.topic), ("discovery", self.discovery)):
            empty = key == "discovery" and not topic
            if not empty and not MQTT_TOPIC.fullmatch(topic):
                raise WrongValueError(key, f'{topic!r} is no topic; write "ucam" or "home/ucam"')


def check_mqtt_url(url: str) -> str:
    """`url` if it is one of an MQTT broker; raises `WrongValueError`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in MQTT_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that are none
        usable = False
    if not usable or parts.password or parts.path.strip("/") or parts.query:
        raise WrongValueError(
            "url",
            "write it as mqtts://USER@HOST:8883 or mqtt://HOST:1883; the password goes into "
            "mqtt.password-file",
        )
    if parts.scheme == "mqtt" and not is_near(parts.hostname or ""):
        raise WrongValueError("url", "to a machine on the Internet write mqtts://")
    return url


class Audit(Section, kw_only=True, frozen=True):
    keep: Duration = Duration(366 * 86400)
    maxspace: Size = Size.parse("100MB")

    def __post_init__(self) -> None:
        if self.keep < 86400:
            raise WrongValueError("keep", "at least 1d: the log goes by whole days")
        if self.maxspace < 1_000_000:
            raise WrongValueError("maxspace", "at least 1MB")


class Location(Section, kw_only=True, frozen=True):
    devices: tuple[JID, ...] = ()
    storage: JID | None = None
    users: tuple[JID, ...] | None = None
    title: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None and self.timezone not in available_timezones():
            raise WrongValueError(
                "timezone", f'{self.timezone!r} is not known; write "Europe/Lisbon"'
            )


class WebConfig(Section, kw_only=True, frozen=True):
    http: Http
    userauth: UserAuth
    smtp: Smtp
    deviceauth: DeviceAuth = DeviceAuth()
    ice: Ice = Ice()
    state: State = State()
    alerts: Alerts = Alerts()
    mqtt: Mqtt | None = None
    audit: Audit = Audit()
    locations: dict[str, Location] = msgspec.field(default_factory=dict)

    @property
    def sender(self) -> Address:
        """Who mails are from."""
        return sender_address(self.smtp.from_, _mail_host(self.http.public_url))

    def __post_init__(self) -> None:
        try:
            _ = self.sender
        except ValueError as error:
            raise WrongValueError("smtp.from", str(error)) from None
        people = set(self.userauth.allowed_emails)
        storages = {location.storage for location in self.locations.values()}
        seen: dict[JID, str] = {}
        for name, location in self.locations.items():
            key = f"locations.{name}"
            if not LOCATION_NAME.fullmatch(name):
                raise WrongValueError(key, "a location's name is letters, digits, - and _")
            if location.storage in people:
                raise WrongValueError(f"{key}.storage", f"{location.storage} is also a person")
            for device in location.devices:
                if device in people:
                    raise WrongValueError(f"{key}.devices", f"{device} is also a person")
                if device in storages:
                    raise WrongValueError(f"{key}.devices", f"{device} is both camera and storage")
                if device in seen:
                    raise WrongValueError(
                        f"{key}.devices", f"{device} stands in {seen[device]} already"
                    )
                seen[device] = name
            for person in location.users or ():
                if person not in people:
                    raise WrongValueError(
                        f"{key}.users", f"{person} isn't in userauth.allowed-emails"
                    )
