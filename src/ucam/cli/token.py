"""`ucam token JID`: prints the token of a device, a storage, or (with --play) a player."""

import argparse
import sys
import time

from ucam.base.config import WrongValueError
from ucam.base.jid import JID, JIDError
from ucam.base.service import Fault
from ucam.base.units import Duration
from ucam.cli.service import config_argument, load_or_explain

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
    from ucam.web.access import Access
    from ucam.web.config import WebConfig
    from ucam.web.issuer import Issuer
    from ucam.web.keys import KeyStore

    config = load_or_explain(args.config, WebConfig)
    if config is None:
        return 1
    now_s = time.time()
    try:
        jid = JID.parse_bare(args.jid)
        role = Access.of(config).role_of(jid)
        if role is None:
            raise Fault(f"{jid} stands nowhere in {args.config}: not in userauth, nor in locations")
        if role == "user" and not args.play:
            raise Fault(f"{jid} is a person, who logs in by mail; --play makes a player's token")
        # Last: a mistake leaves no keys in a folder that may not be the right one.
        issuer = Issuer(KeyStore(config.http.data_dir, now_s), config)
        issued = issuer.first_token(jid, "player" if args.play else role, now_s, args.valid)
    except (JIDError, WrongValueError, Fault) as error:
        print(f"ucam token: {error}", file=sys.stderr)
        return 1
    print(issued.token)
    return 0
