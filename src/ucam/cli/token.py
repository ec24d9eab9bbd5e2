"""`ucam token JID`: prints the token of a device, a storage, or (with --play) a player."""

import argparse

from ucam.base.jid import JID
from ucam.base.service import Fault
from ucam.base.units import Duration
from ucam.cli.service import config_argument

HELP = "prints a device's (or with --play a player's) token"


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("jid", metavar="JID", help="a name that stands in web.toml")
    config_argument(parser, "web")
    parser.add_argument(
        "--play", action="store_true", help="a player's token: it sees what JID may see, no more"
    )
    parser.add_argument(
        "--valid", type=_duration, metavar="TIME", help='how long it lives, such as "30d"'
    )


def run(args: argparse.Namespace) -> int:
    """Print the token; returns the exit status."""
    from ucam.base.tokens import Role
    from ucam.cli.state import Office, in_office
    from ucam.web.access import Access
    from ucam.web.config import WebConfig, check_validity

    def role_of(config: WebConfig) -> tuple[JID, Role]:
        jid = JID.parse_bare(args.jid)
        role = Access.of(config).role_of(jid)
        if role is None:
            raise Fault(f"{jid} stands nowhere in {args.config}: not in userauth, nor in locations")
        if role == "user" and not args.play:
            raise Fault(f"{jid} is a person, who logs in by mail; --play makes a player's token")
        if args.valid is not None:
            check_validity("valid", args.valid)
        return jid, "player" if args.play else role

    def check(config: WebConfig) -> None:
        role_of(config)

    async def work(office: Office) -> int:
        jid, role = role_of(office.config)
        issued = office.issuer.first_token(jid, role, office.now_s, args.valid)
        claims = issued.claims
        await office.sessions.keep(claims, "hand", office.now_s)
        detail = f"{role}, id {claims.jti}"
        office.audit.note("token-made", who=jid, role=role, detail=detail, locations=claims.loc)
        print(issued.token)
        return 0

    return in_office("token", args.config, work, check)
