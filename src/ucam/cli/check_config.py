"""`ucam check-config FILE`: says what is wrong, key and line; otherwise what is in force."""

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ucam.base import config
from ucam.base.config import ConfigError, Section

HELP = "says what is wrong in a configuration file, or what is in force"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", type=Path, help="web.toml, storage.toml or capture.toml")


def run(args: argparse.Namespace) -> int:
    """Check; returns 0 when the file can be used."""
    try:
        text = config.read_text(args.file)
        settings = config.parse(text, kind_of(text, args.file), source=args.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    for key, value in in_force(settings):
        print(f"{key} = {value}")
    return 0


def kind_of(text: str, path: Path) -> type[Section]:
    """Which service's file this is, by the tables it has; raises `ConfigError`."""
    from ucam.capture.config import CaptureConfig
    from ucam.storage.config import StorageConfig
    from ucam.web.config import WebConfig

    kinds: dict[str, type[Section]] = {
        "web": WebConfig,
        "storage": StorageConfig,
        "capture": CaptureConfig,
    }
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return WebConfig  # parse() tells what is wrong with it
    http, storage = document.get("http"), document.get("storage")
    if "userauth" in document or (isinstance(http, dict) and "public-url" in http):
        return kinds["web"]
    if "rtsps" in document or (isinstance(storage, dict) and "path" in storage):
        return kinds["storage"]
    if "video" in document or "spool" in document:
        return kinds["capture"]
    for name, kind in kinds.items():
        if name in path.stem:
            return kind
    raise ConfigError(
        f"{path}: not recognised: web.toml has [userauth], storage.toml [storage] with path, "
        "capture.toml [video]"
    )


def in_force(settings: Section, prefix: str = "") -> list[tuple[str, str]]:
    """Every key with its value, defaults included; files with secrets are named, not read."""
    lines: list[tuple[str, str]] = []
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        name = f"{prefix}{field.encode_name}"
        if isinstance(value, Section):
            lines += in_force(value, f"{name}.")
        elif isinstance(value, dict):
            for key, inner in value.items():
                lines += in_force(inner, f"{name}.{key}.")
        else:
            lines.append((name, _text(value)))
    return lines


def _text(value: Any) -> str:
    if value is None:
        return "(absent)"
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(inner) for inner in value) + "]"
    if isinstance(value, bool | int | float) and type(value) in (bool, int, float):
        return str(value).lower()
    return f'"{value}"'
