"""web.toml, as structs. Every key stands in docs/configuration.md."""

import re
from pathlib import Path
from zoneinfo import available_timezones

import msgspec

from ucam.base.config import Section
from ucam.base.jid import JID
from ucam.base.units import Duration, Listen, WebUrl

# A location is also a folder's name in storage.
LOCATION_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


class Http(Section, kw_only=True, frozen=True):
    listen: Listen = Listen("127.0.0.1:7070")
    public_url: WebUrl
    data_dir: Path


class UserAuth(Section, kw_only=True, frozen=True):
    allowed_emails: tuple[JID, ...]
    token_validity: Duration = Duration(2 * 3600)
    link_validity: Duration = Duration(600)
    session_lifetime: Duration = Duration(30 * 86400)


class DeviceAuth(Section, kw_only=True, frozen=True):
    token_validity: Duration = Duration(30 * 86400)


class Smtp(Section, kw_only=True, frozen=True):
    url: str | None = None
    password_file: Path | None = None
    from_: str = msgspec.field(default="ucam", name="from")
    outbox: Path | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.outbox is None):
            raise ValueError("needs either url (a mail server) or outbox (a folder)")


class Ice(Section, kw_only=True, frozen=True):
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()
    turn_secret_file: Path | None = None

    def __post_init__(self) -> None:
        if self.turn and self.turn_secret_file is None:
            raise ValueError("turn needs turn-secret-file: a relay is never open to everybody")


class State(Section, kw_only=True, frozen=True):
    url: str = "sqlite"


class Alerts(Section, kw_only=True, frozen=True):
    emails: tuple[JID, ...] = ()
    after: Duration = Duration(120)


class Location(Section, kw_only=True, frozen=True):
    devices: tuple[JID, ...] = ()
    storage: JID | None = None
    users: tuple[JID, ...] | None = None
    title: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None and self.timezone not in available_timezones():
            raise ValueError(f'timezone: {self.timezone!r} is not known; write "Europe/Lisbon"')


class WebConfig(Section, kw_only=True, frozen=True):
    http: Http
    userauth: UserAuth
    smtp: Smtp
    deviceauth: DeviceAuth = DeviceAuth()
    ice: Ice = Ice()
    state: State = State()
    alerts: Alerts = Alerts()
    locations: dict[str, Location] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        people = set(self.userauth.allowed_emails)
        storages = {location.storage for location in self.locations.values()}
        seen: dict[JID, str] = {}
        for name, location in self.locations.items():
            if (twice := people & {*location.devices, location.storage}) != set():
                raise ValueError(f"locations.{name}: {min(map(str, twice))} is also a person")
            if not LOCATION_NAME.fullmatch(name):
                raise ValueError(f"locations.{name}: a name is letters, digits, - and _")
            for device in location.devices:
                if device in storages:
                    raise ValueError(f"locations.{name}: {device} is both camera and storage")
                if device in seen:
                    raise ValueError(f"{device} stands in locations {seen[device]} and {name}")
                seen[device] = name
            for person in location.users or ():
                if person not in self.userauth.allowed_emails:
                    raise ValueError(
                        f"locations.{name}.users: {person} is not in userauth.allowed-emails"
                    )
