"""`ucam verify --config storage.toml [JID] [--from T --to T] [--head HEAD]`."""

import argparse

from ucam.base.times import parse_utc
from ucam.cli.service import config_argument, load_or_explain
from ucam.storage.chain import parse_head
from ucam.storage.config import StorageConfig
from ucam.storage.layout import places
from ucam.storage.progress import ProgressBar
from ucam.storage.sealing import public_keys
from ucam.storage.service import state_folder
from ucam.storage.verify import verify

HELP = "are the recordings those that were recorded, all of them, in their order?"
LAST_US = 1 << 62


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    config_argument(parser, "storage")
    parser.add_argument("jid", nargs="?", metavar="JID", help="one camera; else all")
    parser.add_argument("--from", dest="begin", metavar="TIME", help="2026-11-22T05:30:00Z")
    parser.add_argument(
        "--head", metavar="HEAD", help="of JID: what it once said its head is must still be there"
    )
    parser.add_argument("--to", dest="end", metavar="TIME", help="up to, not including")


def run(args: argparse.Namespace) -> int:
    """Print every problem, and a line for each camera; returns 0 only when there is none."""
    config = load_or_explain(args.config, StorageConfig)
    if config is None:
        return 1
    try:
        from_us = parse_utc(args.begin) if args.begin else 0
        to_us = parse_utc(args.end) if args.end else LAST_US
        head = parse_head(args.head) if args.head else None
        if head and not args.jid:
            raise ValueError("say whose head this is: ucam verify … JID --head HEAD")
    except ValueError as error:
        print(f"ucam verify: {error}")
        return 2
    root = config.storage.path
    wanted = [place for place in places(root) if args.jid in (None, place.jid)]
    if not wanted:
        print(f"{root}: no recordings" + (f" of {args.jid}" if args.jid else ""))
        return 1
    keys = public_keys(state_folder(config))
    problems = 0
    for place in wanted:
        progress = ProgressBar(f"reading {place.jid}")
        verdict = verify(root, place, keys, from_us, to_us, progress, head)
        for problem in verdict.problems:
            print(problem)
        print(verdict.summary)
        problems += len(verdict.problems)
    print(f"{problems} problems" if problems else "everything is as it was recorded")
    return 1 if problems else 0
