"""The answers to `ucam init`: each read and checked on the spot. A `ValueError` says what is wrong
and what would be right."""

import os
import re
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ucam.base.config import WrongValueError
from ucam.base.jid import JID, JIDError
from ucam.base.units import Size, WebUrl
from ucam.cli.written import Places

MIN_MAXSPACE = Size.parse("100MB")
RESERVE = Size.parse("1GB")  # the default of [storage] reserve
MAX_CAMERAS = 100
# [video] bitrate = "2Mbit/s", the default.
CAMERA_BYTES_A_DAY = 2_000_000 / 8 * 86400


class WrongAnswerError(Exception):
    """A flag that can't be used: wrong usage."""


@dataclass(frozen=True, slots=True)
class Answers:
    """`password`: the file that holds it, or itself. Without `storage_path` there is no storage."""

    email: JID
    smtp: str | None
    password: Path | str | None
    public_url: WebUrl
    title: str
    cameras: int
    storage_path: str | None = None
    maxspace: Size | None = None

    @property
    def location(self) -> str:
        """The section's name: the title as a plain word."""
        return slug(self.title)

    @property
    def storage(self) -> JID:
        """The storage's name."""
        return JID(f"storage@{self._domain}")

    @property
    def devices(self) -> list[JID]:
        """The cameras' names."""
        return [JID(f"cam{n:03}@{self._domain}") for n in range(1, self.cameras + 1)]

    @property
    def _domain(self) -> str:
        return f"{self.location.replace('_', '-').strip('-')}.loc"


def email(text: str) -> JID:
    """An e-mail address is a person's name here."""
    try:
        return JID.parse_bare(text)
    except JIDError:
        raise ValueError(f"{text!r} is no address: write it as owner@example.com") from None


def smtp(text: str) -> str | None:
    """A mail server's URL; "": none, mails become files."""
    from ucam.web.config import check_mail_url

    if not text:
        return None
    try:
        return check_mail_url(text)
    except WrongValueError as error:
        raise ValueError(error.text) from None


def has_user(url: str) -> bool:
    """Whether the mail server wants a password."""
    return bool(urlsplit(url).username)


def title(text: str) -> str:
    """What the page calls the location."""
    if not text.isprintable() or len(text) > 60:
        raise ValueError("a name of at most 60 letters, in one line")
    if not slug(text):
        raise ValueError(f"{text!r} has no letter from a to z and no digit: add one")
    return text


def slug(text: str) -> str:
    """A title as a section's (and a folder's) name: "Harbour Street" is harbour-street."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")


def cameras(text: str) -> int:
    """How many there are."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_CAMERAS:
        raise ValueError(f"a number from 1 to {MAX_CAMERAS}")
    return int(text)


def storage_path(text: str, places: Places) -> str:
    """A folder on a disk that is there and can be written."""
    if not text or not text.isprintable():
        raise ValueError("a folder, such as /var/lib/ucam/storage/chunks")
    place = _nearest(places.config / text)
    if places.state is not None and place.is_relative_to("/home"):
        raise ValueError("services don't see /home: take a folder in /srv, /mnt or /media")
    if not place.is_dir():
        raise ValueError(f"{place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"{place} can't be written by you; make the folder first, or use sudo")
    if free_bytes(place) < RESERVE + MIN_MAXSPACE:
        raise ValueError(f"{place} has {Size(free_bytes(place))} free: that is too little")
    return text


def _nearest(path: Path) -> Path:
    """The path, or the folder in which it would be made."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_bytes(path: Path) -> int:
    """What is free on the disk of a folder that may not be there yet."""
    return shutil.disk_usage(_nearest(path)).free


def suggested_maxspace(free: int) -> Size:
    """Nine tenths of what is free besides the reserve, in whole GB where there are any."""
    usable = (free - RESERVE) * 9 // 10
    unit = 10**9 if usable >= 10**10 else 10**7
    return Size(max(usable // unit * unit, MIN_MAXSPACE))


def maxspace(text: str, free: int) -> Size:
    """What recordings may take of so much free space."""
    size = Size.parse(text)
    if size < MIN_MAXSPACE:
        raise ValueError(f"{size} is full after some seconds: at least {MIN_MAXSPACE}")
    if size > free - RESERVE:
        raise ValueError(
            f"{size} is more than the disk has: at most {Size(free - RESERVE)} "
            f"({Size(free)} are free, and {RESERVE} stays so)"
        )
    return size


def days_text(size: Size, count: int) -> str:
    """How long that lasts."""
    hours = size / (count * CAMERA_BYTES_A_DAY) * 24
    if hours >= 48:
        time = f"{hours / 24:.0f} days"
    else:
        time = f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"
    cameras_ = "1 camera" if count == 1 else f"{count} cameras"
    return f"{size} keeps the last {time} of {cameras_} (2 Mbit/s each)."
