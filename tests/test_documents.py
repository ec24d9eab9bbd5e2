"""Documents are tested: every key is documented, every documented key exists, links lead on."""

import re
from pathlib import Path

import msgspec
import pytest

from ucam.base.config import Section
from ucam.capture.config import CaptureConfig
from ucam.storage.config import StorageConfig
from ucam.web.config import Location, WebConfig

ROOT = Path(__file__).parent.parent
KINDS: dict[str, type[Section]] = {
    "web": WebConfig,
    "storage": StorageConfig,
    "capture": CaptureConfig,
}


def keys(kind: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for field in msgspec.structs.fields(kind):
        name = prefix + field.encode_name
        inner = [
            part
            for part in (field.type, *getattr(field.type, "__args__", ()))
            if isinstance(part, type) and issubclass(part, Section)
        ]
        if Location in inner:
            found |= keys(Location, f"{name}.NAME.")
        elif inner:
            found |= keys(inner[0], f"{name}.")
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_every_key_is_documented_and_no_other(name: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = re.search(rf"## {name}\.toml\n(.*?)(?=\n## |\Z)", text, re.DOTALL)
    assert section
    assert set(re.findall(r"^\| `([^`]+)` \|", section[1], re.MULTILINE)) == keys(KINDS[name])


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_readmes_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
