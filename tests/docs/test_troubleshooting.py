"""Each message that docs/troubleshooting.md quotes is one that the programs print."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
# What differs: printf's and format's places in a text.
PLACES = re.compile(r"%[-+.\d]*[a-z]|\{[^{}]*\}")
ROWS = re.findall(r"^\| (`.*?`) \| (.*) \|$", PAGE, re.MULTILINE)
QUOTED = [text for row, _ in ROWS for text in re.findall(r"`([^`]+)`", row)]


def collapsed(text: str) -> str:
    return re.sub(r"…+", "…", re.sub(r"\s+", " ", text))


def of_python(path: Path) -> list[str]:
    """Its literals; `…` where a value comes in."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = (
                PLACES.sub("…", part.value)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
                else "…"
                for part in node.values
            )
            found.append(collapsed("".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(collapsed(PLACES.sub("…", node.value)))
    return found


def of_typescript(path: Path) -> str:
    """The whole file; `…` where a value comes in."""
    return collapsed(re.sub(r"\$\{[^{}]*\}|\{[\w.]+\}", "…", path.read_text()))


@cache
def printed() -> list[str]:
    """Every literal of the programs, and the page's files."""
    python = [text for path in (ROOT / "src").rglob("*.py") for text in of_python(path)]
    pages = [*(ROOT / "ui" / "src").rglob("*.ts"), *(ROOT / "ui" / "src").rglob("*.tsx")]
    return [*python, *(of_typescript(path) for path in pages)]


@pytest.mark.parametrize("message", QUOTED)
def test_the_message_is_printed(message: str) -> None:
    wanted = collapsed(message).strip("…").strip()
    assert sum(len(part.strip()) for part in wanted.split("…")) >= 10, "too little to be found by"
    assert any(wanted in text for text in printed())


def test_the_page_quotes_enough_and_each_row_says_what_to_do() -> None:
    assert len(QUOTED) > 60
    assert [row for row, words in ROWS if len(words) < 10] == []


def test_what_is_not_printed_is_found_out() -> None:
    assert not any("the spool on disk is green" in text for text in printed())
