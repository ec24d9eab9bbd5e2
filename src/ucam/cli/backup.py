"""`ucam backup FILE`: the web application's state and keys in one file, while it runs or not."""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from ucam.base.config import Section
from ucam.base.service import Fault
from ucam.base.units import Size
from ucam.cli.service import config_argument, load_or_explain

_TLS = ("cert", "key")
HELP = "writes the web application's state and keys into one file"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="it must not be there yet")
    config_argument(parser, "web")


def run(args: argparse.Namespace) -> int:
    """Back up; returns the exit status."""
    from ucam.web.backup import back_up
    from ucam.web.config import WebConfig

    config = load_or_explain(args.config, WebConfig)
    if config is None:
        return 1
    try:
        manifest = back_up(config, args.config, args.file, time.time())
    except Fault as fault:
        print(f"ucam backup: {fault}", file=sys.stderr)
        return 1
    size = Size(args.file.stat().st_size)
    print(
        f"{args.file}: {len(manifest.files)} files, {size}. Whoever has it can log in as anybody:"
    )
    print("keep it where only you can read it, and not on this machine alone.")
    if not config.state.url.is_sqlite:
        print("Sessions are not in it: they lie in Redis, which has back-ups of its own.")
    for path in secrets_of(config):
        print(f"Not in it: {path}")
    return 0


def secrets_of(config: Section) -> list[Path]:
    """The files that a configuration names and a back-up leaves where they are."""
    found: list[Path] = []
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Section):
            found += secrets_of(value)
        elif isinstance(value, Path) and (field.name.endswith("_file") or field.name in _TLS):
            found.append(value)
    return found
