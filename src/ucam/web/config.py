"""web.toml, as structs. Every key stands in docs/configuration.md."""

from pathlib import Path

import msgspec

from ucam.base.config import Section
from ucam.base.jid import JID
from ucam.base.units import Duration, Listen, WebUrl


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


class Ice(Section, kw_only=True, frozen=True):
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()
    turn_secret_file: Path | None = None


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


class WebConfig(Section, kw_only=True, frozen=True):
    http: Http
    userauth: UserAuth
    smtp: Smtp
    deviceauth: DeviceAuth = DeviceAuth()
    ice: Ice = Ice()
    state: State = State()
    alerts: Alerts = Alerts()
    locations: dict[str, Location] = msgspec.field(default_factory=dict)
