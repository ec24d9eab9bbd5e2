"""`ucam enroll URL CODE`: gets a device's token and writes its configuration. For `ucam invite`."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec

from ucam.base.files import sync_directory
from ucam.base.jid import JID, JIDError
from ucam.base.service import Fault
from ucam.base.units import WebUrl
from ucam.device.http import WebRefused, WebUnavailable, request

HELP = "sets this machine up as the camera or storage that a code was made for"
_REFUSED = {
    400: "the web application doesn't understand this code",
    401: "this code is not valid any more; make a new one with: ucam invite JID",
    404: "there is no ucam at this address, or an older one",
    429: "too many codes were tried from here; wait a quarter of an hour",
    503: "the web application can't do it just now; try again in a minute",
}

_CAPTURE = """\
# What `ucam enroll` wrote; docs/configuration.md explains every key.
[device]
jid = {jid}
name = {name}          # what the page calls it
token-file = "token"

[web]
url = {url}

[video]
source = "auto"

[spool]
path = "spool"

[led]
name = "ACT"
"""

_STORAGE = """\
# What `ucam enroll` wrote; docs/configuration.md explains every key.
[device]
jid = {jid}
token-file = "token"

[web]
url = {url}

[storage]
path = "recordings"
reserve = "1GB"              # what stays free on the disk; or say maxspace = "500GB"
"""


class _Enrolled(msgspec.Struct):
    """What `POST /enroll` answers."""

    token: str
    jid: str
    role: str
    url: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", metavar="URL", help="the web application, https://…")
    parser.add_argument("code", metavar="CODE", help="what ucam invite printed")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where token and capture.toml (or storage.toml) go (default: here)",
    )


def run(args: argparse.Namespace) -> int:
    """Enroll; returns the exit status."""
    try:
        folder: Path = args.output
        _look_before(folder)
        enrolled = asyncio.run(_ask(args.url, args.code))
        service = _write(folder, enrolled)
    except Fault as fault:
        print(f"ucam enroll: {fault}", file=sys.stderr)
        return 1
    path = folder / f"{service}.toml"
    print(f"This is {enrolled.jid} now: {path} and {folder / 'token'} are written.")
    if service == "capture":
        print(f"Next:\n  ucam doctor --config {path}\n  ucam capture --config {path}")
    else:
        print(f"Look at [storage] in {path}, then:\n  ucam storage --config {path}")
    return 0


def _look_before(folder: Path) -> None:
    """A code opens once: everything that can be wrong here is found before it is used up."""
    for name in ("token", "capture.toml", "storage.toml"):
        if (folder / name).exists():
            raise Fault(f"{folder / name} is there already, and is never overwritten; move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".enroll-{os.getpid()}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise Fault(f"{folder} can't be written: {error.strerror}") from None


async def _ask(url: str, code: str) -> _Enrolled:
    try:
        site = WebUrl.parse(url)
        body = await request(f"{site}/enroll", method="POST", json={"code": code})
        enrolled = msgspec.json.decode(body, type=_Enrolled)
        JID.parse_bare(enrolled.jid)
        WebUrl.parse(enrolled.url)
    except WebRefused as refused:
        raise Fault(_REFUSED.get(refused.status, str(refused))) from None
    except WebUnavailable as error:
        raise Fault(f"{url} can't be reached: {error}") from None
    except (msgspec.DecodeError, JIDError, ValueError) as error:
        raise Fault(f"{url} answered no token: {error}") from None
    return enrolled


def _write(folder: Path, enrolled: _Enrolled) -> str:
    """The files; which service they are for."""
    storage = enrolled.role == "storage"
    service = "storage" if storage else "capture"
    jid = JID.parse_bare(enrolled.jid)
    # A JSON string is a TOML string: nothing that a server says ends it early.
    values = {"jid": jid, "name": jid.local, "url": enrolled.url}
    quoted = {name: json.dumps(str(value)) for name, value in values.items()}
    text = (_STORAGE if storage else _CAPTURE).format_map(quoted)
    try:
        _create(folder / "token", f"{enrolled.token}\n", 0o600)
        _create(folder / f"{service}.toml", text, 0o644)
        sync_directory(folder)
    except OSError as error:
        raise Fault(
            f"{folder} can't be written ({error.strerror}), and the code is used up: make a new one"
        ) from None
    return service


def _create(path: Path, text: str, mode: int) -> None:
    """Write a file that isn't there yet, durably."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
