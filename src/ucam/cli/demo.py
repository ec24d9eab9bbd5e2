"""`ucam demo`: all of it on this machine with three synthetic cameras, no configuration."""

import argparse
import importlib
from pathlib import Path

from ucam.base import log, service
from ucam.cli.service import told

HELP = "all of it on this machine with three synthetic cameras"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--state",
        type=Path,
        default=Path("ucam-demo"),
        metavar="FOLDER",
        help="where configuration, recordings and logs lie (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=7070,
        help="of the page; another one when it is taken (default: %(default)s)",
    )


def _port(text: str) -> int:
    port = int(text) if text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 (any) to 65535")
    return port


def _serve(state_folder: Path, port: int) -> None:
    """Run until Ctrl-C; raises `Fault`."""
    from ucam.demo.files import State, cameras, free_port
    from ucam.demo.run import demo

    # The services are processes; what they need is looked for here, so that one line says it.
    for package in ("gi", "aiortc", "av", "litestar"):
        importlib.import_module(package)
    state = State(state_folder.absolute(), free_port(port), free_port(8322))
    service.run(lambda stop: demo(state, cameras(), stop))


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit status."""
    log.setup("demo")
    return told("demo", lambda: _serve(args.state, args.port))
