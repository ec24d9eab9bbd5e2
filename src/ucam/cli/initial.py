"""What `ucam init` writes: two configuration files, the storage's token, the mail password."""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

from ucam.base import config
from ucam.base.config import ConfigError
from ucam.base.service import Fault
from ucam.base.tokens import Role
from ucam.cli.answers import Answers
from ucam.cli.state import Office, open_office
from ucam.cli.written import (
    MAIL_SERVER,
    OUTBOX,
    STORAGE,
    WEB,
    Places,
    create,
    listed,
    make_folder,
    quoted,
)
from ucam.storage.config import StorageConfig
from ucam.web.config import WebConfig

_PASSWORD = "smtp-password"  # noqa: S105 - a file's name


def look_before(places: Places) -> None:
    """Before anything is asked: what is there is never overwritten; raises `Fault`."""
    for path in (
        places.config / "web.toml",
        places.config / "storage.toml",
        places.path("web", _PASSWORD),
        places.path("storage", "token"),
    ):
        if path.exists():
            raise Fault(f"{path} is there already, and is never overwritten; move it away")


def write(places: Places, found: Answers) -> None:
    """Write all, or (after a `Fault`) nothing."""
    texts: dict[Path, tuple[str, int]] = {}
    if isinstance(found.password, str):
        # In the state's folder, which belongs to the service's user; /etc is root's.
        texts[places.path("web", _PASSWORD)] = (f"{found.password}\n", 0o600)
    texts[places.config / "web.toml"] = (_web(places, found), 0o644)
    if found.storage_path is not None:
        texts[places.config / "storage.toml"] = (_storage(places, found), 0o644)
    written: list[Path] = []
    try:
        for path, (text, mode) in texts.items():
            create(path, text, mode)
            written.append(path)
        web = config.load(places.config / "web.toml", WebConfig)
        if found.storage_path is not None:
            config.load(places.config / "storage.toml", StorageConfig)
            path = places.path("storage", "token")
            create(path, f"{asyncio.run(_token(web, found))}\n", 0o600)
            make_folder(places.config / found.storage_path, "storage")
            written.append(path)
    except (OSError, Fault, ConfigError) as error:
        for path in written:
            path.unlink()
        raise Fault(f"nothing is written: {error}") from None


async def _token(web: WebConfig, found: Answers) -> str:
    """The storage's first token."""
    role: Role = "storage"

    async def work(office: Office) -> str:
        issued = office.issuer.first_token(found.storage, role, office.now_s)
        await office.sessions.keep(issued.claims, "hand", office.now_s)
        detail = f"{role}, id {issued.claims.jti}"
        locations = issued.claims.loc
        office.audit.note(
            "token-made", who=found.storage, role=role, detail=detail, locations=locations
        )
        return issued.token

    return await open_office(web, work, time.time())


def _web(places: Places, found: Answers) -> str:
    parts = urlsplit(found.public_url)
    port = parts.port or 80
    if parts.scheme == "https":
        listen, why = "127.0.0.1:7070", "   # a reverse proxy on this machine does TLS"
    elif parts.hostname in ("127.0.0.1", "localhost", "::1"):
        listen, why = f"127.0.0.1:{port}", "   # this machine alone"
    else:
        listen, why = f"0.0.0.0:{port}", "   # without TLS: in a network that you trust"
    return WEB.format(
        listen=quoted(listen),
        listen_why=why,
        url=quoted(found.public_url),
        data_dir=quoted(places.written("web", "")),
        email=quoted(found.email),
        mail=_mail(places, found),
        location=found.location,
        title=quoted(found.title),
        storage=quoted(found.storage),
        devices=listed(found.devices),
    )


def _mail(places: Places, found: Answers) -> str:
    if found.smtp is None:
        return OUTBOX.format(outbox=quoted(places.written("web", "outbox")))
    file = found.password
    if isinstance(file, str):
        file = Path(places.written("web", _PASSWORD))
    return MAIL_SERVER.format(
        smtp=quoted(found.smtp),
        password="" if file is None else f"password-file = {quoted(file)}\n",
        # A server that takes mails from you takes those from your address.
        sender=quoted(f"ucam <{found.email}>"),
    )


def _storage(places: Places, found: Answers) -> str:
    return STORAGE.format(
        command="ucam init",
        jid=quoted(found.storage),
        token=quoted(places.written("storage", "token")),
        url=quoted(found.public_url),
        path=quoted(found.storage_path),
        maxspace=f"maxspace = {quoted(found.maxspace)}",
    )
