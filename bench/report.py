"""The page that a run writes: Markdown with tables, the machine, versions and plots."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import Machine
from bench.plot import bars, lines
from bench.result import Missing, Plan, Point, Result, Row, figure, ours, ratio

HEAD = """# What ucam costs, beside others

{day}, {cpu}. Made by `make bench{quick}`; what is counted and what isn't: \
[docs/benchmarks.md](../../docs/benchmarks.md).

**Compare ratios.** Absolute figures are this machine's, on this day, under this load. "× ucam" is \
the peer's median divided by ucam's on the same input in the same run: 3 × means three times as \
much. Spread is the least and the most of n runs.
"""
SHORT = """
> A short run: {runs} runs of {seconds:g} s where the full one has {full_runs} of \
{full_seconds:g}, and the largest sizes are left out. Medians of so few say little about small \
differences.
"""


@dataclass
class Section:
    """A point and what it has given so far; `load`: the load average when it began; `failed`:
    whether it broke off.
    """

    point: Point
    load: float
    rows: list[Row] = field(default_factory=list)
    failed: bool = False

    @property
    def results(self) -> list[Result]:
        return [row for row in self.rows if isinstance(row, Result)]

    @property
    def missing(self) -> list[Missing]:
        return [row for row in self.rows if isinstance(row, Missing)]


def write(
    folder: Path, machine: Machine, plan: Plan, sections: Sequence[Section], remarks: str = ""
) -> Path:
    """`<date>-<cpu>.md` and its plots in a folder of the same name; returns the page."""
    name = f"{machine.day}-{machine.slug}"
    plots = folder / name
    plots.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    page.write_text(text(machine, plan, sections, plots, remarks))
    return page


def text(
    machine: Machine, plan: Plan, sections: Sequence[Section], plots: Path, remarks: str = ""
) -> str:
    """The page; the plots are written into `plots`."""
    parts = [HEAD.format(day=machine.day, cpu=machine.cpu, quick=" QUICK=1" if plan.quick else "")]
    full = Plan()
    if plan != full:
        parts.append(
            SHORT.format(
                runs=plan.runs,
                seconds=plan.seconds,
                full_runs=full.runs,
                full_seconds=full.seconds,
            )
        )
    if remarks:
        parts.append(f"\n{remarks.strip()}\n")
    parts += ["\n## In short\n\n", _summary(sections), "\n## The machine\n\n", machine.table()]
    for section in sections:
        parts.append(_section(section, plots))
    return "".join(parts)


def _summary(sections: Sequence[Section]) -> str:
    """What has a peer: of each name the largest place that both were measured at."""
    rows = ["| | peer | × ucam | the peer's | ucam's |", "| --- | --- | ---: | ---: | ---: |"]
    for section in sections:
        newest: dict[tuple[str, str], tuple[Result, Result]] = {}
        for result in section.results:
            own = ours(result, section.results)
            if own is not None:
                newest[result.name, result.peer] = result, own
        for (name, peer), (result, own) in newest.items():
            times = ratio(result, section.results)
            place = "" if result.at is None else f", at {figure(result.at)}"
            rows.append(
                f"| {section.point.title}: {name}{place} | {peer} "
                f"| {'–' if times is None else f'**{figure(times)} ×**'} "
                f"| {_value(result)} | {_value(own)} |"
            )
    return "\n".join(rows) + "\n"


def _section(section: Section, plots: Path) -> str:
    point, results = section.point, section.results
    parts = [f"\n## {point.title}\n\n{' '.join(point.about.split())}\n"]
    parts.append(f"\nLoad average when it began: {section.load:.1f}.\n")
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
