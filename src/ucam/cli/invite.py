"""`ucam invite JID`: a one-time code that sets a device up without typing a token."""

import argparse
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ucam.base.jid import JID
from ucam.base.service import Fault
from ucam.cli.service import config_argument

if TYPE_CHECKING:
    import segno

HELP = "a one-time code that sets a camera or a storage up (ucam enroll)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("jid", metavar="JID", help="a camera or a storage that stands in web.toml")
    config_argument(parser, "web")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="write the QR code as a picture, too (.png or .svg): for a phone, or to print",
    )


def run(args: argparse.Namespace) -> int:
    """Print the code; returns the exit status."""
    import segno

    from ucam.base.tokens import Role
    from ucam.cli.state import Office, in_office
    from ucam.web.access import Access, Party
    from ucam.web.config import WebConfig
    from ucam.web.invites import VALIDITY_S, Invites, written

    def role_of(config: WebConfig) -> tuple[JID, Role]:
        jid = JID.parse_bare(args.jid)
        role = Access.of(config).role_of(jid)
        if role not in ("device", "storage"):
            raise Fault(f"{jid} is no camera or storage of {args.config}: add it to [locations]")
        return jid, role

    def check(config: WebConfig) -> None:
        role_of(config)
        if args.picture is not None:
            _look_before(args.picture)

    async def work(office: Office) -> int:
        jid, role = role_of(office.config)
        made = await Invites(office.state, office.sessions).create(jid, role, office.now_s)
        places = office.issuer.access.locations_of(Party(jid, role))
        office.audit.note("invited", who=jid, role=role, locations=places)
        command = f"ucam enroll {office.config.http.public_url} {written(made.code)}"
        qr = segno.make(command, error="l")
        qr.terminal(compact=True)
        if args.picture is not None:
            _save(qr, args.picture)
            print(f"\nThe picture: {args.picture}. Whoever sees it may use the code.")
        print(f"\nFor {jid}, once, within {VALIDITY_S / 60:.0f} minutes. On that machine:\n")
        print(f"  {command}\n")
        return 0

    return in_office("invite", args.config, work, check)


def _look_before(picture: Path) -> None:
    """Raises `Fault` before a code is made for nothing."""
    if picture.suffix.lower() not in (".png", ".svg"):
        raise Fault(f"{picture}: a picture is FILE.png or FILE.svg")
    if picture.exists():
        raise Fault(f"{picture} is there already, and is never overwritten")
    if not picture.parent.is_dir():
        raise Fault(f"{picture.parent} is no folder")


def _save(qr: "segno.QRCode", picture: Path) -> None:
    """For its owner alone: whoever has it can be that device for a quarter of an hour."""
    data = io.BytesIO()
    qr.save(data, kind=picture.suffix[1:].lower(), scale=8, border=4)
    try:
        descriptor = os.open(picture, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.getvalue())
    except OSError as error:
        raise Fault(f"{picture} can't be written: {error.strerror}") from None
