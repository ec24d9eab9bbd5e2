"""The documentation as a site: it builds without a warning, loads nothing from elsewhere, and the
pages that are made from the code are whole."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from support.handbook import build
from ucam.protocol import messages

# Attributes by which a page loads something; <a href> only leads somewhere.
LOADING = {"src", "srcset", "poster", "data", "action"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("handbook"))


class Resources(HTMLParser):
    """What a page loads, and the ids that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.styles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in LOADING or (name == "href" and tag in ("link", "use", "image")):
                self.loaded.append(value or "")
            elif name == "style":
                self.styles.append(value or "")


def from_elsewhere(text: str) -> bool:
    return re.match(r"(https?:)?//", text.strip()) is not None


def in_styles(text: str) -> Iterator[str]:
    """What a style sheet loads."""
    yield from re.findall(r"url\(\s*['\"]?([^'\")]+)", text)
    yield from re.findall(r"@import\s+['\"]([^'\"]+)", text)


def test_pages_and_styles_load_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        found = Resources()
        found.feed(page.read_text())
        loaded = [*found.loaded, *(one for style in found.styles for one in in_styles(style))]
        assert [one for one in loaded if from_elsewhere(one)] == [], page
        for one in loaded:
            local = one.split("#")[0].split("?")[0]
            if local and not local.startswith("data:") and page.name != "404.html":
                assert (page.parent / local).exists(), f"{page}: {one}"
    sheets = sorted(site.rglob("*.css"))
    assert any("Figtree" in sheet.read_text() for sheet in sheets)
    for sheet in sheets:
        assert [one for one in in_styles(sheet.read_text()) if from_elsewhere(one)] == [], sheet


def test_every_message_stands_in_the_reference(site: Path) -> None:
    schema = json.loads((site / "reference" / "room.schema.json").read_text())
    page = (site / "reference" / "room.html").read_text()
    names = {kind.__name__ for kind in get_args(messages.AnyMessage)}
    assert {one["$ref"].rpartition("/")[2] for one in schema["oneOf"]} == names
    for name in schema["$defs"]:
        assert f'id="{name.lower()}"' in page, name
    status = schema["$defs"]["Status"]["properties"]
    assert {"durable-until", "spool", "message"} <= set(status)


@pytest.mark.parametrize(
    ("part", "path"), [("web", "/auth"), ("storage", "/cameras/{jid}/timeline")]
)
def test_every_operation_stands_in_the_reference(site: Path, part: str, path: str) -> None:
    document = json.loads((site / "reference" / f"{part}.openapi.json").read_text())
    page = (site / "reference" / f"{part}.html").read_text()
    assert path in document["paths"]
    for one, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {one}</code>" in page


def test_links_within_a_page_find_their_place(site: Path) -> None:
    """MkDocs looks at those in the sources; these are of the pages that were made."""
    for name in ("room", "web", "storage"):
        page = (site / "reference" / f"{name}.html").read_text()
        ids = set(re.findall(r'id="([^"]+)"', page))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
