"""`ucam storage --config storage.toml`."""

import argparse

from ucam.cli.service import config_argument, run_service
from ucam.storage.config import StorageConfig
from ucam.storage.service import serve

HELP = "RTSPS server, chunks, rotation, playback"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    config_argument(parser, "storage")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    return run_service("storage", args.config, StorageConfig, serve, uvloop=True)
