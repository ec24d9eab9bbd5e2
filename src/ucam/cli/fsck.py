"""`ucam fsck --config storage.toml`."""

import argparse

from ucam.cli.service import config_argument, load_or_explain
from ucam.storage.config import StorageConfig
from ucam.storage.fsck import check
from ucam.storage.progress import ProgressBar

HELP = "holds the index against the disk"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    config_argument(parser, "storage")
    parser.add_argument(
        "--quick", action="store_true", help="look at names and sizes only, don't read the files"
    )


def run(args: argparse.Namespace) -> int:
    """Print every problem; returns 0 only when there is none."""
    config = load_or_explain(args.config, StorageConfig)
    if config is None:
        return 1
    problems = check(config, quick=args.quick, progress=ProgressBar("reading the files"))
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "every invariant holds")
    return 1 if problems else 0
