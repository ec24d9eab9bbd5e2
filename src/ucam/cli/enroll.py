"""`ucam enroll URL CODE`: makes this machine the camera or storage that `ucam invite` named.

Token, configuration, a look by `ucam doctor`, and the service's start, each told in a sentence.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Literal

import msgspec

from ucam.base import config
from ucam.base.config import ConfigError
from ucam.base.jid import JID, JIDError
from ucam.base.service import Fault
from ucam.base.units import Size, WebUrl
from ucam.cli import units
from ucam.cli.written import CAPTURE, STORAGE, Places, create, make_folder, quoted
from ucam.device.http import WebRefused, WebUnavailable, request

HELP = "sets this machine up as the camera or storage that a code was made for"
_SERVICES = {"device": "capture", "storage": "storage"}
_REFUSED = {
    400: "the web application doesn't understand this code",
    401: "this code is not valid any more; make a new one with: ucam invite JID",
    404: "there is no ucam at this address, or an older one",
    429: "too many codes were tried from here; wait a quarter of an hour",
    503: "the web application can't do it just now; try again in a minute",
}


class _Enrolled(msgspec.Struct):
    """What `POST /enroll` answers."""

    token: str
    jid: str
    role: Literal["device", "storage"]
    url: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", metavar="URL", help="the web application, https://…")
    parser.add_argument("code", metavar="CODE", help="what ucam invite printed")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where capture.toml (or storage.toml) goes (default: /etc/ucam for root, else here)",
    )
    parser.add_argument("--name", help="a camera: what the page calls it")
    parser.add_argument("--source", default="auto", help="a camera: [video] source")
    parser.add_argument("--storage-path", metavar="DIR", help="a storage: the recordings' folder")
    parser.add_argument("--maxspace", metavar="SIZE", help="a storage: what they may take")
    parser.add_argument(
        "--no-start", action="store_true", help="write the files only: no doctor, no service"
    )


def run(args: argparse.Namespace) -> int:
    """Enroll; returns the exit status."""
    try:
        places = Places.of(args.output)
        there = _look_before(places)
        _check(args)
        print(f"Asking {args.url} whose code this is …", flush=True)
        enrolled = asyncio.run(_ask(args.url, args.code, there))
        service = _SERVICES[enrolled.role]
        print(f"This machine is {enrolled.jid} now.")
        path = places.config / f"{service}.toml"
        _write(args, places, enrolled, service)
        print(f"{path} and {places.path(service, 'token')} are written.", flush=True)
        if args.no_start:
            print(f"Start it with: {units.command_of(service, path)}")
            return 0
        if service == "capture":
            _doctor(path)
        return _start(service, path)
    except Fault as fault:
        print(f"ucam enroll: {fault}", file=sys.stderr)
        return 1


def _look_before(places: Places) -> dict[str, Path]:
    """A code opens once: everything that can be wrong here is found before it is used up.

    A machine may be a storage and a camera, each once: role → the file that says that it is one.
    """
    there = {}
    for role, service in _SERVICES.items():
        for path in (places.path(service, "token"), places.config / f"{service}.toml"):
            if path.exists():
                there[role] = path
    if len(there) == len(_SERVICES):
        raise Fault(_is_there(there["device"]))
    for folder in (places.config, places.path("capture", "token").parent.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".enroll-{os.getpid()}"
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            root = "" if os.geteuid() == 0 else "; try it with sudo"
            raise Fault(f"{folder} can't be written: {error.strerror}{root}") from None
    return there


def _is_there(path: Path) -> str:
    return f"{path} is there already, and is never overwritten; move it away"


def _check(args: argparse.Namespace) -> None:
    from ucam.capture.config import Video

    try:
        WebUrl.parse(args.url)
        Video(source=args.source)
        if args.maxspace is not None:
            Size.parse(args.maxspace)
    except ValueError as error:
        raise Fault(str(error)) from None


async def _ask(url: str, code: str, there: dict[str, Path]) -> _Enrolled:
    wanted = {"code": code}
    # What this machine isn't yet; a code for what it is already stays unused.
    if there:
        (wanted["role"],) = set(_SERVICES) - set(there)
    try:
        site = WebUrl.parse(url)
        body = await request(f"{site}/enroll", method="POST", json=wanted)
        enrolled = msgspec.json.decode(body, type=_Enrolled)
        JID.parse_bare(enrolled.jid)
        WebUrl.parse(enrolled.url)
    except WebRefused as refused:
        if refused.status == 403 and there:
            raise Fault("; ".join(_is_there(path) for path in there.values())) from None
        raise Fault(_REFUSED.get(refused.status, str(refused))) from None
    except WebUnavailable as error:
        raise Fault(f"{url} can't be reached: {error}") from None
    except (msgspec.DecodeError, JIDError, ValueError) as error:
        raise Fault(f"{url} answered no token: {error}") from None
    return enrolled


def _write(args: argparse.Namespace, places: Places, enrolled: _Enrolled, service: str) -> None:
    jid = JID.parse_bare(enrolled.jid)
    values = {
        "jid": jid,
        "name": args.name or jid.local,
        "url": enrolled.url,
        "token": places.written(service, "token"),
        "source": args.source,
        "spool": places.written(service, "spool"),
        "path": args.storage_path or places.written(service, "chunks"),
    }
    texts = {key: quoted(value) for key, value in values.items()}
    maxspace = "# maxspace = "
    maxspace += '"500GB"         # absent: what is free on the disk'
    if args.maxspace is not None:
        maxspace = f"maxspace = {quoted(args.maxspace)}"
    template = STORAGE if service == "storage" else CAPTURE
    text = template.format(**texts, maxspace=maxspace, lamp=_lamp(), command="ucam enroll")
    try:
        create(places.path(service, "token"), f"{enrolled.token}\n", 0o600)
        if service == "storage" and args.storage_path is not None:
            make_folder(places.config / args.storage_path, service)
        create(places.config / f"{service}.toml", text)
    except OSError as error:
        raise Fault(
            f"{error.filename or places.config} can't be written ({error.strerror}), and the code "
            "is used up: make a new one"
        ) from None


def _lamp() -> str:
    """The line of [led]: the lamp on a Pi's board, by the name that its kernel gives it."""
    from ucam.capture import lamps

    for name in ("ACT", "led0"):
        if (lamps.LEDS / name).is_dir():
            return f"name = {quoted(name):20} # shows whether recording works"
    return '# name = "ACT"               # one of /sys/class/leds, to show whether recording works'


def _doctor(path: Path) -> None:
    """Look at the machine. What is found is told and stops nothing: the camera tries for ever."""
    print("\nLooking at this machine (ucam doctor) …", flush=True)
    try:
        from ucam.capture.config import CaptureConfig
        from ucam.cli import doctor

        config.load(path, CaptureConfig)
        status = doctor.look(path)
    except ModuleNotFoundError as error:
        print(f"It can't be looked at: the package {error.name!r} is missing.")
        return
    except ConfigError as error:
        raise Fault(str(error)) from None
    if status:
        print("What is BAD wants a look; the camera starts all the same and tries for ever.")
    print()


def _start(service: str, path: Path) -> int:
    if not units.has_unit(service) or os.geteuid() != 0:
        print(f"Start it with:\n  {units.command_of(service, path)}")
        return 0
    print(f"Starting ucam-{service}, now and at each boot …", flush=True)
    wrong = units.start(service)
    if wrong is not None:
        raise Fault(f"ucam-{service} doesn't start: {wrong}; see: journalctl -u ucam-{service}")
    print("It runs. On the page it stands among the others within seconds.")
    return 0
