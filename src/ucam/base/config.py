"""Configuration files: TOML, kebab-case keys, every key typed, errors with key and line.

A service declares its file as `Section` structs; `load` reads, checks and reports. Values of the
types in `ucam.base.units`, JIDs and paths are written as strings in the file.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ucam.base.jid import JID
from ucam.base.units import ChunkSize, Duration, Listen, Rate, Size, StateUrl, WebUrl

MAX_FILE_BYTES = 1_000_000


class ConfigError(ValueError):
    """A configuration file that can't be used: file, key, line, and what would be right."""


class WrongValueError(ValueError):
    """For a section's `__post_init__`: the key below the section that is wrong, and why."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key
        self.text = text


class Section(
    msgspec.Struct, kw_only=True, rename="kebab", forbid_unknown_fields=True, frozen=True
):
    """One table of a configuration file. Fields are keys, `_` written as `-`."""


C = TypeVar("C", bound=Section)
_STRING_TYPES = (Size, Duration, Rate, ChunkSize, Listen, WebUrl, StateUrl)


def _decode(folder: Path, kind: type, value: object) -> object:
    if kind is JID:
        if not isinstance(value, str):
            raise ValueError('expected a JID such as "cam001@studio.loc"')
        return JID.parse_bare(value)
    if kind is Path:
        if not isinstance(value, str) or not value:
            raise ValueError('expected a path such as "/var/lib/ucam"')
        return folder / value
    if kind in _STRING_TYPES:
        return kind.parse(value)
    raise NotImplementedError(kind)


def load(path: Path, kind: type[C]) -> C:
    """Read and check `path`; relative paths in it are taken from its folder.

    Raises `ConfigError` with the file, the key's path, its line and what would be right.
    """
    return parse(read_text(path), kind, source=path)


def read_text(path: Path) -> str:
    """The file's text; raises `ConfigError` where it can't be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes, which no configuration is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}") from None


def parse(text: str, kind: type[C], *, source: Path) -> C:
    """`load` for a text that stands already in memory."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None
    try:
        return _convert(document, kind, source)
    except msgspec.ValidationError as error:
        table = _culprit(document, kind, source)
        message = str(error)
        if isinstance(cause := error.__cause__, WrongValueError):
            message = _at_key(message, cause)
        raise ConfigError(_explain(message, table, text, source, kind)) from None


def _at_key(message: str, wrong: WrongValueError) -> str:
    """The message as msgspec writes it for a key's own type."""
    path = (match := _MESSAGE.match(message)) and match["path"]
    return f"{wrong.text} - at `{path or '$'}.{wrong.key}`"


def _convert(document: dict[str, Any], kind: type[C], source: Path) -> C:
    return msgspec.convert(document, kind, dec_hook=partial(_decode, source.parent))


def _culprit(document: dict[str, Any], kind: type[Section], source: Path) -> str:
    """The name that msgspec's path leaves out: which entry of a table of tables is wrong."""
    for key, value in document.items():
        if isinstance(value, dict) and all(isinstance(inner, dict) for inner in value.values()):
            for name in value:
                try:
                    _convert({**document, key: {name: value[name]}}, kind, source)
                except msgspec.ValidationError as error:
                    if f"{key}[...]" in str(error):
                        return str(name)
    return ""


_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `([^`]+)`")


def _explain(message: str, table: str, text: str, source: Path, kind: type[Section]) -> str:
    match = _MESSAGE.match(message)
    what, path = (match["what"], match["path"] or "$") if match else (message, "$")
    path = path.removeprefix("$").replace("[...]", f".{table}" if table else "")
    keys = [key for key in path.split(".") if key]
    field = _FIELD.match(what)
    section = _section_at(kind, keys)
    if field:
        keys = [*keys, field[1]]
    written = [re.sub(r"\[\d+\]", "", key) for key in keys]
    line = line_of(text, written) or line_of(text, written[:-1])
    where = f"{source}:{line}" if line else str(source)
    if field and "unknown" in what:
        known = ", ".join(sorted(f.encode_name for f in msgspec.structs.fields(section)))
        what = f"unknown key (known here: {known})"
    elif field:
        what = "this key is required"
    return f"{where}: {'.'.join(keys) or 'file'}: {what}"


def _section_at(kind: type[Section], keys: list[str]) -> type[Section]:
    """The struct that reads the table at `keys`; names of a table of tables are passed over."""
    current = kind
    for key in keys:
        names = {f.encode_name: f.type for f in msgspec.structs.fields(current)}
        current = next(_structs(names.get(key)), current)
    return current


def _structs(annotation: Any) -> Iterator[type[Section]]:
    """Every `Section` inside an annotation such as `Http | None` or `dict[str, Location]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _structs(inner)


_TABLE = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def line_of(text: str, keys: list[str]) -> int | None:
    """The line (from 1) on which the key path stands, or None."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = [part.strip(" \"'") for part in match[1].split(".")]
            if table == keys:
                return number
        elif (match := _KEY.match(line)) and keys == [
            *table,
            *(part.strip(" \"'") for part in match[1].split(".")),
        ]:
            return number
    return None
