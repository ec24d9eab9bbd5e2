"""Documents are tested: every key is documented, every documented key exists, links lead on."""

import re
import tomllib
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


def defaults(kind: type[Section], prefix: str = "") -> dict[str, object]:
    """The keys and their defaults; `NODEFAULT` where there is none."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        name = prefix + field.encode_name
        inner = [
            part
            for part in (field.type, *getattr(field.type, "__args__", ()))
            if isinstance(part, type) and issubclass(part, Section)
        ]
        if Location in inner:
            found |= defaults(Location, f"{name}.NAME.")
        elif inner:
            found |= defaults(inner[0], f"{name}.")
        else:
            made = field.default_factory
            found[name] = field.default if made is msgspec.NODEFAULT else made()
    return found


def documented(name: str) -> dict[str, str]:
    """What docs/configuration.md says of a file's keys: key → the column of defaults."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = re.search(rf"## {name}\.toml\n(.*?)(?=\n## |\Z)", text, re.DOTALL)
    assert section
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section[1], re.MULTILINE))


@pytest.mark.parametrize("name", KINDS)
def test_every_key_is_documented_and_no_other(name: str) -> None:
    assert set(documented(name)) == set(defaults(KINDS[name]))


@pytest.mark.parametrize("name", KINDS)
def test_defaults_are_those_of_the_code(name: str) -> None:
    for key, default in defaults(KINDS[name]).items():
        cell = documented(name)[key]
        if cell == "required":
            assert default is msgspec.NODEFAULT, key
        elif default is None or not cell.startswith("`"):
            # Words: what happens without it.
            assert default in (None, msgspec.NODEFAULT), key
        else:
            value = tomllib.loads(f"value = {cell.strip('`')}")["value"]
            if hasattr(default, "parse"):  # a size, a duration, a rate
                value = type(default).parse(value)
            elif isinstance(default, tuple):
                value = tuple(value)
            assert str(value) == str(default), key


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
