"""Sizes, durations, rates and addresses, as people write them in a configuration file."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, Self
from urllib.parse import urlsplit

from ucam.base.hosts import is_near

_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})")
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z/]*)")


def _read(text: object, units: Mapping[str, float], example: str) -> float:
    match = _NUMBER_AND_UNIT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{text!r} is not understood: write it as {example} (units: {known})")
    return float(match[1]) * units[match[2]]


class Size(int):
    """A number of bytes, written `"64MB"` (10⁶), `"500GB"` or `"1GiB"` (2³⁰)."""

    _UNITS: ClassVar = {
        "B": 1,
        "kB": 10**3,
        "KB": 10**3,
        "MB": 10**6,
        "GB": 10**9,
        "TB": 10**12,
    } | {
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
        "TiB": 2**40,
    }

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"64MB"`; raises `ValueError` with what would be right."""
        return cls(round(_read(text, cls._UNITS, '"500GB"')))

    def __str__(self) -> str:
        for unit in ("TB", "GB", "MB", "kB"):
            if self >= self._UNITS[unit]:
                return f"{int(self) / self._UNITS[unit]:.4g}{unit}"
        return f"{int(self)}B"


class Duration(float):
    """A number of seconds, written `"2h"`, `"90s"`, `"30d"` or `"500ms"`."""

    _UNITS: ClassVar = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"90s"`; raises `ValueError` with what would be right."""
        return cls(_read(text, cls._UNITS, '"90s"'))

    def __str__(self) -> str:
        for unit in ("d", "h", "m"):
            if self >= self._UNITS[unit] and self % self._UNITS[unit] == 0:
                return f"{float(self) / self._UNITS[unit]:g}{unit}"
        return f"{float(self):g}s"


class Rate(int):
    """A number of bits a second, written `"2Mbit/s"` or `"800kbit/s"`."""

    _UNITS: ClassVar = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"2Mbit/s"`; raises `ValueError` with what would be right."""
        return cls(round(_read(text, cls._UNITS, '"2Mbit/s"')))

    def __str__(self) -> str:
        for unit in ("Mbit/s", "kbit/s"):
            if self >= self._UNITS[unit]:
                return f"{int(self) / self._UNITS[unit]:g}{unit}"
        return f"{int(self)}bit/s"


class ChunkSize:
    """A chunk's length: seconds (`"60s"`) or bytes (`"64MB"`); the other is None."""

    __slots__ = ("duration", "size")

    def __init__(self, duration: Duration | None = None, size: Size | None = None) -> None:
        self.duration = duration
        self.size = size

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"60s"` or `"64MB"`; raises `ValueError` with what would be right."""
        with suppress(ValueError):
            return cls(duration=Duration.parse(text))
        with suppress(ValueError):
            return cls(size=Size.parse(text))
        raise ValueError(f'{text!r} is not understood: write a duration "60s" or a size "64MB"')

    def __str__(self) -> str:
        return str(self.duration if self.duration is not None else self.size)


class Listen(str):
    """Where a server listens: `"0.0.0.0:7070"`, `"127.0.0.1:0"` or `"[::]:7070"`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"HOST:PORT"`; raises `ValueError` with what would be right."""
        match = _LISTEN.fullmatch(text) if isinstance(text, str) else None
        if match is None or int(match[2]) > 65535:
            raise ValueError(f'{text!r} is no address to listen on: write it as "0.0.0.0:7070"')
        return cls(text)

    @property
    def host(self) -> str:
        """The address before the port, an IPv6 one without its brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0 lets the system choose one."""
        return int(self.rpartition(":")[2])


class WebUrl(str):
    """The URL of a web application: https, or http where it is near; no path, query, fragment."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"https://cams.example.com"`, a slash at its end is dropped."""
        parts = urlsplit(text) if isinstance(text, str) and _readable(text) else None
        if (
            parts is None
            or "@" in parts.netloc
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
            or parts.fragment
        ):
            raise ValueError(f'{text!r} is not usable: write it as "https://cams.example.com"')
        if parts.scheme == "http" and not is_near(parts.hostname):
            raise ValueError(
                f"{parts.hostname} is reached through the Internet: without TLS everybody on the "
                f"way could log in as you; write https://{parts.netloc}"
            )
        return cls(f"{parts.scheme}://{parts.netloc}")


class StateUrl:
    """Where the web application keeps its state: `sqlite`, or a Redis. Shown without password."""

    __slots__ = ("url",)

    def __init__(self, url: str) -> None:
        self.url = url
        """With the password: never show it."""

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"sqlite"` or `"redis://:PASSWORD@HOST:6379/0"`; an error doesn't repeat it."""
        if text == "sqlite":
            return cls("sqlite")
        if isinstance(text, str) and _readable(text):
            parts = urlsplit(text)
            plain = not parts.query and not parts.fragment
            database = parts.path.strip("/")
            if (
                parts.scheme in ("redis", "rediss")
                and parts.hostname
                and plain
                and (not database or (database.isascii() and database.isdigit()))
            ):
                return cls(text)
        raise ValueError(
            'not usable: write "sqlite", "redis://:PASSWORD@HOST:6379/0", or the same with '
            "rediss:// for TLS; special characters of the password as %XX"
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether it is kept in the data directory, for one process."""
        return self.url == "sqlite"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StateUrl) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        if not parts.netloc:
            return self.url
        address = parts.netloc.rpartition("@")[2]
        hidden = "***@" if "@" in parts.netloc else ""
        return f"{parts.scheme}://{hidden}{address}{parts.path}"

    def __repr__(self) -> str:
        return f"StateUrl({str(self)!r})"


def _readable(url: str) -> bool:
    """Whether brackets and port of a URL are what they should be."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
