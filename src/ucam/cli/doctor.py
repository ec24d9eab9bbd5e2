"""`ucam doctor [--config capture.toml]`."""

import argparse
import asyncio
import logging
from pathlib import Path

from ucam.capture.config import CaptureConfig
from ucam.capture.doctor import examine
from ucam.cli.service import load_or_explain

HELP = "looks at a camera's machine: elements, camera, encoder, clock, LED, network"
DEFAULT = Path("/etc/ucam/capture.toml")
_MARKS = {True: "good", False: "BAD", None: "note"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"capture.toml (else {DEFAULT}, if it exists)"
    )


def run(args: argparse.Namespace) -> int:
    """Print a line a check; 1 when one of them is bad."""
    path = args.config if args.config is not None or not DEFAULT.exists() else DEFAULT
    return look(path)


def look(path: Path | None) -> int:
    """Print a line a check, with a configuration or without; 1 when one of them is bad."""
    config = None
    if path is not None:
        config = load_or_explain(path, CaptureConfig)
        if config is None:
            return 1
    # One line a check: what the parts log on their way is said there in plain words.
    logger = logging.getLogger("ucam")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        return asyncio.run(_print(config))
    finally:
        logger.setLevel(before)


async def _print(config: CaptureConfig | None) -> int:
    status = 0
    async for finding in examine(config):
        print(f"{_MARKS[finding.good]:4}  {finding.what}: {finding.text}")
        if finding.good is False:
            status = 1
    return status
