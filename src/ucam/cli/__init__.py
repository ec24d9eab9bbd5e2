"""The command `ucam`: one file a subcommand, each imported only when it is asked for.

A subcommand's module has `HELP`, `arguments(parser)` and `run(args) -> int` (the exit status:
0 success, 1 a fault that is told, 2 wrong usage).
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from ucam import __version__

# Name of the command, and one line of help; the module is the name with _ for -.
COMMANDS = {
    "web": "login, tokens, room, page",
    "storage": "RTSPS server, chunks, rotation, playback",
    "capture": "camera, sender, live calls",
    "demo": "all of it on this machine with three synthetic cameras",
    "init": "asks five questions and writes a web.toml and a storage.toml that work",
    "check-config": "says what is wrong in a configuration file, or what is in force",
    "token": "prints a device's (or with --play a player's) token",
    "tokens": "lists devices' and players' tokens, and revokes one",
    "invite": "a one-time code that sets a camera or a storage up (ucam enroll)",
    "enroll": "sets this machine up as the camera or storage that a code was made for",
    "backup": "writes the web application's state and keys into one file",
    "restore": "brings back what ucam backup wrote",
    "fsck": "holds the index against the disk",
    "verify": "are the recordings those that were recorded, all of them, in their order?",
    "doctor": "looks at a camera's machine: elements, camera, encoder, clock, LED, network",
}
# Which extra brings the packages of a part, for the hint when one is missing.
_EXTRAS = {
    "web": "web",
    "token": "web",
    "tokens": "web",
    "invite": "web",
    "init": "web",
    "backup": "web",
    "restore": "web",
    "demo": "all",
    "storage": "storage",
    "fsck": "storage",
    "verify": "storage",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="ucam", description="Cameras whose video is yours.")
    parser.add_argument("--version", action="version", version=f"ucam {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    modules = {}
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == wanted:
            try:
                modules[name] = importlib.import_module(f"ucam.cli.{name.replace('-', '_')}")
            except ModuleNotFoundError as error:
                return _missing(name, error)
            modules[name].arguments(command)
    args = parser.parse_args(arguments)
    try:
        return int(modules[args.command].run(args))
    except ModuleNotFoundError as error:
        return _missing(args.command, error)
    except KeyboardInterrupt:
        return 130


def _missing(command: str, error: ModuleNotFoundError) -> int:
    if error.name is None or error.name.split(".")[0] == "ucam":
        raise error
    if error.name == "gi":
        hint = "install python3-gi and python3-gst-1.0 and use a venv with --system-site-packages"
    else:
        hint = f"install it with: pip install 'ucam[{_EXTRAS.get(command, 'all')}]'"
    print(f"ucam {command}: the package {error.name!r} is missing; {hint}", file=sys.stderr)
    return 1
