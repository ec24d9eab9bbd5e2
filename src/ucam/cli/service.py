"""What the three service commands share: `--config FILE`, errors of it on one line, exit status."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ucam.base import config, log
from ucam.base.service import Fault, Stop, run

C = TypeVar("C", bound=config.Section)


def config_argument(parser: argparse.ArgumentParser, service: str) -> None:
    """Add `--config`, required."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help=f"{service}.toml"
    )


def load_or_explain(path: Path, kind: type[C]) -> C | None:
    """The configuration, or None after saying on standard error what is wrong with it."""
    try:
        return config.load(path, kind)
    except config.ConfigError as error:
        print(f"ucam: {error}", file=sys.stderr)
        return None


def run_service(
    name: str,
    path: Path,
    kind: type[C],
    serve: Callable[[C, Stop], Awaitable[None]],
    *,
    uvloop: bool = False,
) -> int:
    """Load the configuration and serve until a signal; returns the exit status."""
    settings = load_or_explain(path, kind)
    if settings is None:
        return 1
    log.setup(name)

    async def main(stop: Stop) -> None:
        stop.config_path = path
        await serve(settings, stop)

    return told(name, lambda: run(main, uvloop=uvloop))


def told(name: str, serve: Callable[[], None]) -> int:
    """Run `serve`; print its faults, each on lines of its own; returns the exit status."""
    status = 0
    try:
        serve()
    except* Fault as faults:
        for fault in _leaves(faults):
            print(f"ucam {name}: {fault}", file=sys.stderr)
        status = 1
    return status


def _leaves(group: BaseExceptionGroup[Fault]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
