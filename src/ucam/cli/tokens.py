"""`ucam tokens`: lists the tokens that are in use; `--revoke ID` takes one back."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from ucam.cli.service import config_argument

if TYPE_CHECKING:
    from ucam.web.sessions import Session

HELP = "lists devices' and players' tokens, and revokes one"
_MADE = {"login": "login", "hand": "ucam token", "enrolled": "ucam enroll"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    config_argument(parser, "web")
    parser.add_argument("--people", action="store_true", help="list people's sessions as well")
    parser.add_argument("--revoke", metavar="ID", help="it opens nothing from now on")


def run(args: argparse.Namespace) -> int:
    """List, or revoke; returns the exit status."""
    from ucam.cli.state import Office, in_office

    async def show(office: Office) -> int:
        living = await office.sessions.living(office.now_s)
        shown = {i: s for i, s in living.items() if args.people or s.role != "user"}
        for sid, session in sorted(shown.items(), key=lambda item: (item[1].jid, item[1].began_s)):
            print(_line(sid, session))
        if not shown:
            print("no token is in use", file=sys.stderr)
        return 0

    async def revoke(office: Office) -> int:
        session = await office.sessions.end_by_id(args.revoke, office.now_s)
        if session is None:
            print(f"ucam tokens: no living token has the id {args.revoke}", file=sys.stderr)
            return 1
        office.audit.note(
            "token-revoked",
            who=session.jid,
            role=session.role,
            detail=f"id {args.revoke}",
            locations=office.issuer.access.locations_of(session.party),
        )
        print(f"{session.jid} ({session.role}): revoked; what it opened closes within 5 s")
        return 0

    return in_office("tokens", args.config, show if args.revoke is None else revoke)


def _line(sid: str, session: "Session") -> str:
    seen = f"seen {_day(session.seen_s)}" if session.seen_s else "never seen"
    where = f" {session.agent or '?'} from {session.network or '?'}" if session.seen_s else ""
    return (
        f"{sid}  {session.jid}  {session.role}  by {_MADE[session.made]} {_day(session.began_s)}, "
        f"until {_day(session.current_exp)}, {seen}{where}"
    )


def _day(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(at_s))
