"""Texts mean the same to the site's Markdown and to the repository's (CommonMark)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_code_in_a_list_and_lists_after_texts(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    wrong = re.findall(r"\n\n {5,7}\S.*", text)
    assert wrong == [], "code within a list is indented by 8 spaces"
    wrong = re.findall(r"^(?![-*|#>\s]|\d+\.).+\n(?:[-*]|1\.) .*", text, re.MULTILINE)
    assert wrong == [], "an empty line belongs before a list"
