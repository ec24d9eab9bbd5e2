"""`ucam restore FILE`: what `ucam backup` wrote becomes a data directory again."""

import argparse
import sys
import time
from pathlib import Path

from ucam.base.service import Fault
from ucam.cli.service import config_argument, load_or_explain

HELP = "brings back what ucam backup wrote"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="what ucam backup wrote")
    config_argument(parser, "web")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="put aside what the data directory holds, instead of refusing",
    )


def run(args: argparse.Namespace) -> int:
    """Restore; returns the exit status."""
    from ucam.web.config import WebConfig
    from ucam.web.restore import restore

    had_config = args.config.exists()
    try:
        manifest = restore(args.file, args.config, overwrite=args.overwrite, now_s=time.time())
    except Fault as fault:
        print(f"ucam restore: {fault}", file=sys.stderr)
        return 1
    if not had_config:
        print(f"{args.config} wasn't there: it is the one of the back-up.")
    print(f"Restored as it was on {manifest.made}. Start ucam web; devices and people come back by")
    print("themselves. What you revoked since then, revoke again: ucam tokens --revoke ID.")
    settings = load_or_explain(args.config, WebConfig)
    if settings is not None and settings.http.public_url != manifest.public_url:
        print(f"But the back-up is of {manifest.public_url}, and public-url in {args.config} is")
        print(f"{settings.http.public_url}: there every device needs a new token (ucam invite).")
    return 0
