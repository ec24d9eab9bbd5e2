"""`ucam web --config web.toml`, and `ucam web rotate-keys --config web.toml`."""

import argparse
import asyncio
import sys
import time

from ucam.base.service import Fault
from ucam.cli.service import config_argument, load_or_explain, run_service

HELP = "login, tokens, room, page"
_DESCRIPTION = """\
Without an action: serve until a signal. rotate-keys: sign tokens with the next key from now on;
tokens that the present one signed stay good, nobody notices. With --distrust-old (a key was
stolen): forget every key; everybody logs in anew, every device needs a new token."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("action", nargs="?", choices=("serve", "rotate-keys"), default="serve")
    parser.add_argument("--distrust-old", action="store_true", help="with rotate-keys: see above")
    config_argument(parser, "web")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal, or rotate the keys; returns the exit status."""
    from ucam.web.config import WebConfig
    from ucam.web.service import serve

    if args.action == "rotate-keys":
        return _rotate(args)
    if args.distrust_old:
        print("ucam web: --distrust-old belongs to rotate-keys", file=sys.stderr)
        return 2
    return run_service("web", args.config, WebConfig, serve, uvloop=True)


def _rotate(args: argparse.Namespace) -> int:
    from ucam.web import shared_keys
    from ucam.web.audit import AuditLog
    from ucam.web.config import WebConfig
    from ucam.web.keys import KeyStore, TooSoonError

    config = load_or_explain(args.config, WebConfig)
    if config is None:
        return 1
    now_s = time.time()

    def rotate(keys: KeyStore) -> None:
        if args.distrust_old:
            keys.begin_anew(now_s)
        else:
            keys.rotate(now_s)

    try:
        shared_keys.use(config, now_s, rotate)
    except (Fault, TooSoonError) as error:
        print(f"ucam web rotate-keys: {error}", file=sys.stderr)
        return 1
    audit = AuditLog(config.http.data_dir, config.audit)
    audit.note("keys-rotated", detail="every key is new" if args.distrust_old else "by hand")
    asyncio.run(audit.write_out())
    if args.distrust_old:
        print("every key is new: people log in anew; make each device a token (ucam token)")
    else:
        print("new tokens are signed with the next key; those that were given stay good")
    return 0
