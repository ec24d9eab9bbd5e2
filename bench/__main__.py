"""`python -m bench [--quick] [NAME…]`: measure all points, or those named, and write the page.

Those measured before on the same day, by the same processor, stay in the page.
`load` is no point: it ends with a fault when storage doesn't carry what it must.
"""

import argparse
import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    capture,
    channel,
    durability,
    index,
    kept,
    live,
    load,
    outage,
    page,
    play,
    playback,
    recording,
    signaling,
)
from bench.kept import Section
from bench.machine import look
from bench.report import page_name, write
from bench.result import Missing, Plan, Point, Row, figure

POINTS = (
    recording.POINT,
    durability.POINT,
    live.POINT,
    playback.POINT,
    channel.POINT,
    outage.POINT,
    signaling.POINT,
    index.POINT,
    capture.POINT,
    play.POINT,
    page.POINT,
)
RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure, print, write; returns the exit status."""
    arguments = _parser().parse_args()
    if arguments.names == ["load"]:
        load.main()
        return 0
    names = arguments.names or [point.name for point in POINTS]
    points = {point.name: point for point in POINTS}
    if unknown := [name for name in names if name not in points]:
        print(f"no such point: {', '.join(unknown)} (there are {', '.join(points)})")
        return 2
    plan = Plan.short() if arguments.quick else Plan()
    plan = Plan(plan.quick, arguments.runs or plan.runs, arguments.seconds or plan.seconds)
    machine = look(RESULTS.parent)
    arguments.output.mkdir(parents=True, exist_ok=True)
    values = arguments.output / f"{page_name(machine)}.json"
    if arguments.remarks or not arguments.names:
        kept.remark(values, arguments.remarks)  # what was said of an older run isn't true of this
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = False
    try:
        for name in names:
            began = datetime.now(UTC).isoformat(timespec="seconds")
            section = Section(name, plan, began, os.getloadavg()[0], True, [], [])
            try:
                _measure(points[name], section)
            finally:
                # After each: what was measured stays when a later point fails.
                kept.put(values, section)
                failed |= section.failed
    except KeyboardInterrupt:
        print("stopped")
        failed = True
    print(f"\n{write(arguments.output, machine, kept.read(values), POINTS)}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="what ucam costs")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a point; all if none is named")
    parser.add_argument("--quick", action="store_true", help="some ten minutes instead of an hour")
    parser.add_argument("--runs", type=int, help="how often each is measured (5; quick: 2)")
    parser.add_argument("--seconds", type=float, help="how long each time (4)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the page")
    parser.add_argument("--remarks", default="", help="a sentence about this run, for its page")
    return parser


def _measure(point: Point, section: Section) -> None:
    print(f"\n{point.title}", flush=True)
    try:
        for row in point.measure(section.plan):
            section.add(row)
            print(f"  {_line(row)}", flush=True)
        section.failed = False
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # What comes before and behind it isn't lost with it; the page says that it failed.
        traceback.print_exception(error)
        section.add(Missing(f"the rest of “{point.title}”", f"It broke off: {error!r}."))


def _line(row: Row) -> str:
    if isinstance(row, Missing):
        return f"not measured: {row.what}. {row.why}"
    name = row.name if row.at is None else f"{row.name} ({figure(row.at)})"
    least, most = map(figure, row.spread)
    return (
        f"{name:44} {row.peer:34} {figure(row.median):>8} {row.unit} ({least} … {most}) {row.note}"
    )


if __name__ == "__main__":
    sys.exit(main())
