"""The file that `ucam backup` writes: a ZIP whose entries are all named here, each with its limit.

    web.toml             the configuration it was made with
    web.sqlite           sessions, known devices, told alerts (absent where Redis holds them)
    signing-keys.json    whoever has this file can make tokens: mode 0600
    audit/DAY.jsonl      who did what
    manifest.json        written last: format, what ucam made it, each entry's size and SHA-256

ZIP, because its list of entries can't be larger than the file itself, and every system opens one.
"""

import re
from typing import Final

import msgspec

FORMAT = 1
MANIFEST, STATE, KEYS, CONFIG = "manifest.json", "web.sqlite", "signing-keys.json", "web.toml"
_AUDIT = re.compile(r"audit/\d{4}-\d{2}-\d{2}\.jsonl", re.ASCII)
# Ten years of days; what is longer is no back-up of ours.
MAX_ENTRIES = 4000
MAX_ARCHIVE_BYTES = 4 << 30
_LIMITS: Final = {MANIFEST: 1 << 20, CONFIG: 1 << 20, KEYS: 1 << 20, STATE: 2 << 30}
_AUDIT_LIMIT = 2 << 30


class Entry(msgspec.Struct, frozen=True):
    """What the manifest says of one entry."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds."""

    format: int
    ucam: str
    made: str
    public_url: str
    files: dict[str, Entry]


class _Format(msgspec.Struct, frozen=True):
    """What every format's manifest has."""

    format: int
    ucam: str = "?"


class ArchiveError(ValueError):
    """A file that is no back-up, or one that was damaged; the text says what is wrong."""


def limit_of(name: str) -> int:
    """How many bytes an entry may have; raises `ArchiveError` for a name that none has."""
    if name in _LIMITS:
        return _LIMITS[name]
    if _AUDIT.fullmatch(name):
        return _AUDIT_LIMIT
    raise ArchiveError(f"it holds {name[:80]!r}, which no back-up does")


def read_manifest(data: bytes) -> Manifest:
    """Raises `ArchiveError`, also for what a newer ucam wrote."""
    try:
        # The version first: a newer manifest may look quite different.
        version = msgspec.json.decode(data, type=_Format)
        if version.format > FORMAT:
            raise ArchiveError(
                f"it was made by a newer ucam ({version.ucam[:40]}): install that one to restore it"
            )
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveError(f"its manifest can't be read: {error}") from None
