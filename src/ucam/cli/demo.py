"""`ucam demo`: all of it on this machine with three synthetic cameras, no configuration."""

import argparse
import importlib
import sys
from pathlib import Path

from ucam.base import log, service
from ucam.base.service import Fault

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
    parser.add_argument("--port", type=int, default=7070, help="of the page (default: %(default)s)")


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
    status = 0
    try:
        _serve(args.state, args.port)
    except* Fault as faults:
        for fault in faults.exceptions:
            print(f"ucam demo: {fault}", file=sys.stderr)
        status = 1
    return status
