"""`ucam invite JID`: a one-time code that sets a device up without typing a token."""

import argparse

from ucam.base.jid import JID
from ucam.base.service import Fault
from ucam.cli.service import config_argument

HELP = "a one-time code that sets a camera or a storage up (ucam enroll)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("jid", metavar="JID", help="a camera or a storage that stands in web.toml")
    config_argument(parser, "web")


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

    async def work(office: Office) -> int:
        jid, role = role_of(office.config)
        made = await Invites(office.state, office.sessions).create(jid, role, office.now_s)
        places = office.issuer.access.locations_of(Party(jid, role))
        office.audit.note("invited", who=jid, role=role, locations=places)
        command = f"ucam enroll {office.config.http.public_url} {written(made.code)}"
        segno.make(command, error="l").terminal(compact=True)
        print(f"\nFor {jid}, once, within {VALIDITY_S / 60:.0f} minutes. On that machine:\n")
        print(f"  {command}\n")
        return 0

    return in_office("invite", args.config, work, check)
