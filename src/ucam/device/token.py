"""A device's token: read from its file, exchanged for a successor at half its life.

The successor stands in the file before it is used: a power cut leaves a token that works. Its place
on the disk is taken before it is asked for: the web application ends the session of a token that is
exchanged a second time, so a successor that a full disk refuses must not be asked for again.
"""

import asyncio
import base64
import contextlib
import json
import logging
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from ucam.base.backoff import Backoff
from ucam.base.files import sync_directory, write_atomically
from ucam.base.tokens import MAX_TOKEN_LENGTH
from ucam.device.http import WebRefused, WebUnavailable, request

_log = logging.getLogger(__name__)
LONGEST_NAP_S = 600.0
# Even when a successor seems to be past its half already: then our clock is ahead. Tokens of less
# than four minutes are renewed more often, as they must be.
LEAST_BETWEEN_RENEWALS_S = 60.0
# RFC 7515 §7.1: what goes into a header and a file is nothing else.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Seconds since 1970 that every calendar function takes (the year 9999).
_Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]


class TokenFileError(ValueError):
    """The token file can't be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Life:
    """What a device reads in its own token, without verifying it: seconds since 1970."""

    subject: str
    locations: tuple[str, ...]
    issued_s: int
    expires_s: int

    @property
    def half_s(self) -> float:
        """When it is time for a successor."""
        return (self.issued_s + self.expires_s) / 2

    @property
    def length_s(self) -> float:
        """From the beginning to the end."""
        return self.expires_s - self.issued_s


class _Payload(msgspec.Struct):
    sub: str
    iat: _Moment
    exp: _Moment
    loc: tuple[str, ...] = ()


class _Recycled(msgspec.Struct):
    token: str


def read_life(token: str) -> Life:
    """The claims that a device needs of its own token; raises `TokenFileError`."""
    if len(token) > MAX_TOKEN_LENGTH or not _COMPACT.fullmatch(token):
        raise TokenFileError("it holds no token")
    try:
        payload = token.split(".")[1]
        raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        claims = msgspec.convert(json.loads(raw), _Payload)
    except (ValueError, RecursionError) as error:
        raise TokenFileError(f"it holds no token ({type(error).__name__})") from None
    return Life(claims.sub, claims.loc, claims.iat, claims.exp)


class TokenStore:
    """The token in `path`, and its renewal at the web application `web_url`.

    Raises `TokenFileError` when the file holds no token.
    """

    def __init__(self, path: Path, web_url: str | None) -> None:
        self._path = path
        self._web_url = web_url.rstrip("/") if web_url else None
        self._token, self._life = self._read()
        # The successor that was given and isn't in the file yet.
        self._successor: tuple[str, Life] | None = None
        self._out_of_date = asyncio.Event()

    @property
    def token(self) -> str:
        """The token to show now. Never log it."""
        return self._token

    @property
    def life(self) -> Life:
        """Its subject, locations and times."""
        return self._life

    def belongs_to(self, locations: tuple[str, ...]) -> None:
        """What the web application says where we belong: a token that says otherwise, made before
        the configuration changed, opens nothing at the right storage, and is renewed at once."""
        if set(locations) != set(self._life.locations):
            self._out_of_date.set()

    def reload(self) -> None:
        """Take what stands in the file now (somebody put a new token there)."""
        found = self._read()
        if found != (self._token, self._life):
            self._successor = None
        self._token, self._life = found

    def _read(self) -> tuple[str, Life]:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_TOKEN_LENGTH + 1).decode("ascii", "replace").strip()
            return text, read_life(text)
        except OSError as error:
            why = error.strerror or str(error)
        except TokenFileError as error:
            why = str(error)
        hint = "on the web machine run: ucam token JID --config web.toml, and put its output there"
        raise TokenFileError(f"token file {self._path}: {why}; {hint}") from None

    async def recycle(self) -> None:
        """Exchange the token; raises `WebUnavailable` or `WebRefused`, or `OSError` when the file
        can't be written, and keeps the old one.
        """
        if self._successor is None:
            await asyncio.to_thread(_reserve, self._path)
            self._successor = await self._ask()
        token, life = self._successor
        await asyncio.to_thread(_replace, self._path, token)
        self._token, self._life = token, life
        self._successor = None
        _log.info(
            "token renewed; valid until %s", time.strftime("%F %TZ", time.gmtime(life.expires_s))
        )

    async def _ask(self) -> tuple[str, Life]:
        assert self._web_url is not None
        body = await request(f"{self._web_url}/auth", method="POST", bearer=self._token)
        try:
            token = msgspec.json.decode(body, type=_Recycled).token
            life = read_life(token)
        except (ValueError, RecursionError) as error:
            raise WebUnavailable(f"/auth answered no token ({type(error).__name__})") from None
        if life.subject != self._life.subject:
            raise WebUnavailable(f"/auth answered with the token of {life.subject}")
        return token, life

    async def run(self) -> None:
        """Renew at half life, for ever."""
        if self._web_url is None:
            return
        backoff = Backoff(first_s=5, longest_s=300)
        while True:
            left_s = self._life.half_s - time.time()
            if left_s > 0 and not self._out_of_date.is_set():
                # Naps are short because the system clock of a camera may step after its start.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s + 0.5, LONGEST_NAP_S)):
                        await self._out_of_date.wait()
                continue
            try:
                await self.recycle()
                self._out_of_date.clear()
                backoff.reset()
                await asyncio.sleep(min(LEAST_BETWEEN_RENEWALS_S, self._life.length_s / 4))
                continue
            except WebUnavailable as error:
                _log.warning("token not renewed: %s", error)
            except WebRefused as error:
                _log.error(
                    "token not renewed: %s; if it stays so, make a new one (ucam token)", error
                )
                self._reread_after_refusal()
            except OSError as error:
                why = error.strerror or error
                _log.error("token not renewed: %s can't be written: %s", self._path, why)
            await asyncio.sleep(backoff.next_delay_s())

    def _reread_after_refusal(self) -> None:
        try:
            self.reload()
        except TokenFileError as error:
            _log.error("%s", error)


def _reserve(path: Path) -> None:
    """Take the place of a token beside `path`. Raises `OSError`."""
    write_atomically(_beside(path), bytes(MAX_TOKEN_LENGTH + 1))


def _replace(path: Path, token: str) -> None:
    """Put `token` into what was reserved, and that in the place of `path`. Raises `OSError`."""
    beside = _beside(path)
    text = token.encode() + b"\n"
    with beside.open("r+b") as file:
        file.write(text)
        file.truncate(len(text))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.next")
