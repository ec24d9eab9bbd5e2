"""The page that a run writes: Markdown with tables, the machine, versions and plots."""

from collections.abc import Sequence
from pathlib import Path

from bench.kept import Kept, Section
from bench.machine import Machine
from bench.plot import bars, lines
from bench.result import Plan, Point, Result, figure, ours, ratio

HEAD = """# What ucam costs, beside others

{day}, {cpu}. Made by `make bench`; what is counted and what isn't: \
[docs/benchmarks.md](../../docs/benchmarks.md). Every value: [{values}]({values}).

**Compare ratios.** Absolute figures are this machine's, on this day, under this load. "× ucam" is \
the peer's median divided by ucam's on the same input in the same run: 3 × means three times as \
much. Spread is the least and the most of n runs.
"""
SHORT = """
> Not a full run: {names} had fewer or shorter runs than {runs} of {seconds:g} s, and their \
largest sizes are left out. Medians of so few say little about small differences.
"""


def write(folder: Path, machine: Machine, kept: Kept, points: Sequence[Point]) -> Path:
    """`<date>-<cpu>.md` and its plots in a folder of the same name; returns the page."""
    name = page_name(machine)
    plots = folder / name
    plots.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    page.write_text(_text(machine, kept, points, plots))
    return page


def page_name(machine: Machine) -> str:
    """Of a day and a processor."""
    return f"{machine.day}-{machine.slug}"


def _text(machine: Machine, kept: Kept, points: Sequence[Point], plots: Path) -> str:
    sections = kept.in_order(points)
    parts = [HEAD.format(day=machine.day, cpu=machine.cpu, values=f"{plots.name}.json")]
    full = Plan()
    if short := [point.title for point, section in sections if section.plan != full]:
        names = ", ".join(short)
        parts.append(SHORT.format(names=names, runs=full.runs, seconds=full.seconds))
    if kept.remarks:
        parts.append(f"\n{kept.remarks.strip()}\n")
    parts += ["\n## In short\n\n", _summary(sections), "\n## The machine\n\n", machine.table()]
    for point, section in sections:
        parts.append(_section(point, section, plots))
    return "".join(parts)


def _summary(sections: Sequence[tuple[Point, Section]]) -> str:
    """What has a peer: of each name the largest place that both were measured at."""
    rows = ["| | peer | × ucam | the peer's | ucam's |", "| --- | --- | ---: | ---: | ---: |"]
    for point, section in sections:
        newest: dict[tuple[str, str], tuple[Result, Result]] = {}
        for result in section.results:
            own = ours(result, section.results)
            if own is not None:
                newest[result.name, result.peer] = result, own
        for (name, peer), (result, own) in newest.items():
            times = ratio(result, section.results)
            place = "" if result.at is None else f", at {figure(result.at)}"
            rows.append(
                f"| {point.title}: {name}{place} | {peer} "
                f"| {'–' if times is None else f'**{figure(times)} ×**'} "
                f"| {_value(result)} | {_value(own)} |"
            )
    return "\n".join(rows) + "\n"


def _section(point: Point, section: Section, plots: Path) -> str:
    results, plan = section.results, section.plan
    parts = [f"\n## {point.title}\n\n{' '.join(point.about.split())}\n"]
    parts.append(
        f"\nBegan {section.began}, at a load average of {section.load:.1f}; "
        f"{plan.runs} runs of {plan.seconds:g} s{' (short)' if plan.quick else ''}.\n"
    )
    for plot in point.plots:
        shown = [result for result in results if result.name == plot.name]
        drawing = lines(plot, shown) if plot.kind == "lines" else bars(plot, shown)
        if drawing:
            path = plots / f"{point.name}-{_file_name(plot.name)}.svg"
            path.write_text(drawing)
            parts.append(f"\n![{plot.title}]({plots.name}/{path.name})\n")
    if results:
        parts += ["\n", table(results)]
    for each in section.missing:
        parts.append(f"\nNot measured: {each.what}. {each.why}\n")
    return "".join(parts)


def table(results: list[Result]) -> str:
    """A row each, those of one name together in the order they came."""
    rows = [
        "| | | who | × ucam | median | least … most | n | |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    names = list(dict.fromkeys(result.name for result in results))
    for result in sorted(results, key=lambda r: names.index(r.name)):
        times = ratio(result, results)
        place = "" if result.at is None else figure(result.at)
        least, most = map(figure, result.spread)
        rows.append(
            f"| {result.name} | {place} | {result.peer} | {f'{figure(times)} ×' if times else ''} "
            f"| {_value(result)} | {least} … {most} | {result.n} | {result.note} |"
        )
    return "\n".join(rows) + "\n"


def _value(result: Result) -> str:
    return f"{figure(result.median)} {result.unit}"


def _file_name(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
