"""The configuration files that `ucam init` and `ucam enroll` write, and where they go."""

import json
import os
import pwd
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ucam.base.files import sync_directory

CONFIG_FOLDER = Path("/etc/ucam")
STATE_FOLDER = Path("/var/lib/ucam")

WEB = """\
# What `ucam init` wrote; docs/configuration.md explains every key. After a change:
# ucam check-config web.toml, then systemctl reload ucam-web (or SIGHUP).

[http]
listen = {listen}{listen_why}
# What people type. Links in mails, tokens and the check of a browser's origin hang on it: when it
# changes, every device needs a new token.
public-url = {url}
# Signing keys, sessions, audit log: `ucam backup` copies them.
data-dir = {data_dir}

[userauth]
# Who may log in; whoever is taken out loses access within seconds of a reload.
allowed-emails = [{email}]

[smtp]
{mail}
[alerts]
# Who is told when a camera or a storage is in trouble for two minutes, and when it is well again.
emails = [{email}]

# A location: its cameras, and the machine in its network that keeps their recordings. Each name
# is one you choose; `ucam invite NAME` makes the code that sets that machine up.
[locations.{location}]
title = {title}
storage = {storage}
devices = [{devices}]
# users = [{email}]    # who may see it; absent: everybody who may log in
"""

MAIL_SERVER = """\
# The server that takes mails from you, as your mail program knows it.
url = {smtp}
{password}from = {sender}
"""

OUTBOX = """\
# No mail server yet: a mail becomes a file in this folder, and its login link is logged. Whoever
# reads either gets in. When you have a server, instead:
# url = "smtp+starttls://USER@HOST:587"
# password-file = "smtp-password"        # a file that the service's user can read
# from = "ucam <cams@example.com>"
outbox = {outbox}
"""

STORAGE = """\
# What `{command}` wrote; docs/configuration.md explains every key.

[device]
jid = {jid}
# What this storage shows to the web application; it renews it by itself.
token-file = {token}

[web]
url = {url}

[rtsps]
# Where cameras of this network push to.
listen = "0.0.0.0:8322"

[storage]
# The folder of the recordings. It never takes more than maxspace: the oldest go first.
path = {path}
{maxspace}
reserve = "1GB"              # what stays free on the disk in any case

# [http]                     # recordings for players, and metrics, in this network, with a token
# listen = "0.0.0.0:8443"
"""

CAPTURE = """\
# What `ucam enroll` wrote; docs/configuration.md explains every key.

[device]
jid = {jid}
name = {name}          # what the page calls it
# What this camera shows to the web application; it renews it by itself.
token-file = {token}

[web]
url = {url}

[video]
source = {source}            # the first camera that works; or one by its name
width = 1280
height = 720
framerate = 30
bitrate = "2Mbit/s"

[spool]
# What storage has not confirmed, while it is away.
path = {spool}

[led]
{lamp}
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a service's files go. In a folder that isn't the system's, paths are relative."""

    config: Path
    state: Path | None

    @classmethod
    def of(cls, output: Path | None) -> "Places":
        """`output`, or as the Debian packages have it where root asks, or here."""
        if output is not None:
            return cls(output, STATE_FOLDER if output == CONFIG_FOLDER else None)
        if os.geteuid() == 0 and CONFIG_FOLDER.is_dir():
            return cls(CONFIG_FOLDER, STATE_FOLDER)
        return cls(Path(), None)

    def written(self, service: str, name: str) -> str:
        """A path as it is written into the service's configuration file."""
        return str((self.state or Path()) / service / name)

    def path(self, service: str, name: str) -> Path:
        """The same, for this program."""
        return self.config / self.written(service, name)


def make_folder(path: Path, service: str) -> None:
    """A folder for a service's data where there is none; it belongs to the packages' user.

    Raises `OSError`.
    """
    if path.exists():
        return
    path.mkdir(parents=True, mode=0o750)
    if os.geteuid() == 0:
        with suppress(KeyError):
            user = pwd.getpwnam(f"ucam-{service}")
            os.chown(path, user.pw_uid, user.pw_gid)


def quoted(text: object) -> str:
    """A TOML string: a JSON string is one, so nothing that somebody says ends it early."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def listed(texts: Iterable[object]) -> str:
    """Strings of a TOML array."""
    return ", ".join(map(quoted, texts))


def create(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that isn't there yet, durably; it belongs to the owner of its folder.

    Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if mode == 0o600 else 0o755)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    sync_directory(path.parent)
