"""The tables of sizes in docs/operations.md are what bit rates and days give."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12, "min": 60.0, "h": 3600.0}


def table(heading: str, first: str) -> tuple[list[str], list[list[str]]]:
    """The table below `heading` whose header begins with `first`: its header and its rows."""
    section = PAGE[PAGE.index(f"## {heading}\n") :]
    lines = section[section.index(f"| {first}") :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return cells[0], cells[2:]


def amount(text: str) -> float:
    number, unit = re.search(r"([\d.]+) (\w+)$", text).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


def rate(text: str) -> float:
    """Bytes a second."""
    return float(re.match(r"([\d.]+) Mbit/s", text)[1]) * 1e6 / 8  # type: ignore[index]


def test_disks_are_what_cameras_rates_and_days_give() -> None:
    header, rows = table("How large a disk", "cameras")
    assert len(rows) >= 4
    for row in rows:
        for column, shown in zip(header[1:], row[1:], strict=True):
            days = float(re.search(r"(\d+) days", column)[1])  # type: ignore[index]
            exact = int(row[0]) * rate(column) * 86400 * days
            # Rounded up, so that nobody buys a disk that is too small.
            assert exact <= amount(shown) <= exact * 1.06, (row[0], column)


def test_what_a_stream_takes_a_day() -> None:
    found = re.search(r"A stream of ([\d.]+ Mbit/s) takes ([\d.]+ GB) a day", PAGE)
    assert found
    assert amount(found[2]) == pytest.approx(rate(found[1]) * 86400)


def test_how_long_a_spool_lasts() -> None:
    header, rows = table("When storage is away", "how long storage may be away")
    assert len(rows) == 3
    for row in rows:
        size = amount(re.search(r"\d+ [MG]B", row[0])[0])  # type: ignore[index]
        for column, shown in zip(header[1:], row[1:], strict=True):
            assert amount(shown) == pytest.approx(size / rate(column), rel=0.03), (row[0], column)
