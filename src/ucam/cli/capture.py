"""`ucam capture --config capture.toml`."""

import argparse

from ucam.capture.config import CaptureConfig
from ucam.capture.service import serve
from ucam.cli.service import config_argument, run_service

HELP = "camera, sender, live calls"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    config_argument(parser, "capture")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    return run_service("capture", args.config, CaptureConfig, serve)
