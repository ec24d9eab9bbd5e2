"""The benchmarks' statistics, pages and plots: what strangers read must be computed right."""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import insn, kept
from bench.kept import Kept, Section
from bench.machine import Machine
from bench.outage import missing_s
from bench.plot import bars, lines
from bench.report import table, write
from bench.result import Missing, Plan, Plot, Point, Result, Row, figure, ratio

from faults.chain import RATE

CPU = "CPU a stream"
SVG = "{http://www.w3.org/2000/svg}"
MACHINE = Machine(
    "2026-11-22", "AMD EPYC 7B13 @ 2.4GHz (x)", 2, 24, "Debian", "ext4", {"ffmpeg": "5.1"}
)


def result(peer: str, *values: float, at: float | None = None, name: str = CPU) -> Result:
    return Result(name, peer, "%", values, at)


def page(folder: Path, point: Point, rows: list[Row], plan: Plan, remarks: str = "") -> Path:
    section = Section(point.name, plan, "2026-11-22T16:12:00+00:00", 3.14, False, [], [])
    for row in rows:
        section.add(row)
    return write(folder, MACHINE, Kept(remarks, {point.name: section}), [point])


def nothing(_plan: Plan) -> Iterator[Row]:
    yield from ()


def test_medians_and_spread() -> None:
    found = result("ucam", 5, 1, 2, 9)
    assert (found.median, found.spread, found.n) == (3.5, (1, 9), 4)
    for values in ((), (1.0, float("nan")), (float("inf"),)):
        with pytest.raises(ValueError, match="CPU a stream of ucam"):
            result("ucam", *values)


def test_ratios_compare_the_same_place_alone() -> None:
    ours = [result("ucam", 2, at=1), result("ucam", 0.5, 0.4, 0.6, at=10)]
    peer = result("ffmpeg", 1.5, 2, at=10)
    assert ratio(peer, ours) == 3.5
    assert ratio(result("ffmpeg", 1, at=40), ours) is None
    assert ratio(result("ffmpeg", 1, at=10, name="memory"), ours) is None
    assert ratio(ours[0], ours) is None
    assert ratio(result("x", 1), [result("ucam", 0)]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.4623, "0.462"),
        (12.04, "12"),
        (1500, "1,500"),
        (362_913.9, "362,914"),
        (0.001234, "0.00123"),
        (100, "100"),
        (-2.5, "-2.5"),
    ],
)
def test_figures(value: float, text: str) -> None:
    assert figure(value) == text


def test_the_page(tmp_path: Path) -> None:
    plot = Plot(CPU, "CPU", axis="streams", log_x=True)
    point = Point("recording", "Recording", "Measured\n    so.", nothing, (plot,))
    rows: list[Row] = [
        *(result("ucam", 1, 3, 2, at=at) for at in (1, 10)),
        *(result("gst <&>", 8, 8, at=at) for at in (1, 10)),
        Missing("MediaMTX", "It is not on the PATH."),
    ]
    written = page(tmp_path, point, rows, Plan.short(), "Loaded.")
    assert written.name == "2026-11-22-amd-epyc-7b13.md"
    text = written.read_text()
    assert "| Recording: CPU a stream, at 10 | gst <&> | **4 ×** | 8 % | 2 % |" in text
    assert "at 1 |" not in text, "the summary has the largest place alone"
    assert "| CPU a stream | 10 | ucam |  | 2 % | 1 … 3 | 3 |  |" in text
    assert "Measured so." in text
    assert "at a load average of 3.1; 2 runs of 4 s (short)." in text
    assert "Not measured: MediaMTX. It is not on the PATH." in text
    assert "Not a full run: Recording had fewer" in text
    assert "Loaded." in text
    image = "2026-11-22-amd-epyc-7b13/recording-cpu-a-stream.svg"
    assert f"]({image})" in text
    ET.parse(tmp_path / image)


def test_what_cannot_be_divided_is_shown(tmp_path: Path) -> None:
    point = Point("outage", "Outage", "Cut.", nothing)
    rows: list[Row] = [result("ucam", 0, name="lost"), result("gst", 60, name="lost")]
    text = page(tmp_path, point, rows, Plan()).read_text()
    assert "| Outage: lost | gst | – | 60 % | 0 % |" in text


def test_a_full_run_is_not_called_short(tmp_path: Path) -> None:
    point = Point("outage", "Outage", "Cut.", nothing)
    text = page(tmp_path, point, [result("ucam", 1)], Plan()).read_text()
    assert "Not a full run" not in text
    assert "5 runs of 4 s." in text


def test_values_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    assert kept.read(path) == Kept("", {})
    section = Section("live", Plan.short(), "2026-11-22T16:12:00+00:00", 2.5, True, [], [])
    section.add(result("ucam", 1, 2.5, at=4))
    section.add(Missing("MediaMTX", "It is not on the PATH."))
    older = Section("live", Plan(), "2026-11-22T15:00:00+00:00", 1, False, [], [])
    for each in (older, section):
        kept.put(path, each)
    kept.remark(path, "Loaded.")
    found = kept.read(path)
    assert found == Kept("Loaded.", {"live": section}), "the newest of each point"
    other = Point("outage", "Outage", "Cut.", nothing)
    live = Point("live", "Live", "Seen.", nothing)
    assert found.in_order([other, live]) == [(live, section)]


def test_instructions_of_all_threads(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.write_text(
        "detected repeat execution @ 0x4f754e\ncpu 0 insns: 30\ncpu 1 insns: 12\ntotal insns: 42\n"
    )
    assert insn.total(told) == 42
    told.write_text("cpu 0 insns: 30\n")
    with pytest.raises(ValueError, match="0 lines"):
        insn.total(told)


def test_sources_of_packages_become_those_of_their_sources() -> None:
    stanza = "Types: deb deb-src\nURIs: http://host/debian\nSuites: bookworm\n"
    expected = stanza.replace("deb deb-src", "deb-src")
    assert insn.of_sources(stanza, deb822=True) == expected
    lines = (
        "# deb x\ndeb [arch=amd64] http://host/debian bookworm main\ndeb-src http://host/ b main\n"
    )
    expected = "deb-src [arch=amd64] http://host/debian bookworm main\n"
    assert insn.of_sources(lines, deb822=False) == expected


def test_a_table_keeps_names_together() -> None:
    rows = [result("ucam", 1), result("ucam", 2, name="memory"), result("ffmpeg", 3)]
    names = [line.split("|")[1].strip() for line in table(rows).splitlines()[2:]]
    assert names == [CPU, CPU, "memory"]


def test_lines_stay_inside_and_in_order() -> None:
    plot = Plot(CPU, "CPU", axis="streams", log_x=True, log_y=True)
    rows = [result("ucam", 0.9 / at, 1.1 / at, at=at) for at in (1, 10, 100)]
    drawn = ET.fromstring(lines(plot, rows))
    (curve,) = drawn.findall(f"{SVG}polyline")
    points = [tuple(map(float, pair.split(","))) for pair in curve.attrib["points"].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points), "less is lower, y grows down"
    steps = [b[0] - a[0] for a, b in itertools.pairwise(points)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2), "tens are evenly apart"
    assert all(0 < x < 760 and 0 < y < 400 for x, y in points)


def test_a_line_wants_two_places() -> None:
    assert lines(Plot(CPU, "CPU"), [result("ucam", 1, at=1), result("ucam", 1)]) == ""
    assert bars(Plot(CPU, "CPU"), []) == ""


def test_bars_are_as_long_as_their_values() -> None:
    drawn = ET.fromstring(bars(Plot(CPU, "CPU"), [result("ucam", 1), result("gst", 4)]))
    widths = [float(bar.attrib["width"]) for bar in drawn.findall(f"{SVG}rect")[1:]]
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.01)


def test_missing_pictures_count_once() -> None:
    there = [*range(100, 160), *range(100, 130), *range(190, 220)]
    assert missing_s(there) == 30 / RATE
    assert missing_s(there, 10) == 10 - 90 / RATE, "who doesn't come back has lost the rest"
