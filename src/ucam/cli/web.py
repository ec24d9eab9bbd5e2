"""`ucam web`: login, tokens, room, page."""

import argparse

from ucam.cli.service import config_argument, run_service

HELP = "login, tokens, room, page"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    config_argument(parser, "web")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status."""
    from ucam.web.config import WebConfig
    from ucam.web.service import serve

    return run_service("web", args.config, WebConfig, serve, uvloop=True)
