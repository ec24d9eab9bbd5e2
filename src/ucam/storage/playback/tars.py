"""A bundle as a tar that exists nowhere, made while it is sent, with flat memory: a film is hashed
on its way out, and the last files of the tar say the hashes and are signed.
"""

import hashlib
import os
import tarfile
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import Any

from ucam.storage.evidence import SIGNATURE_BYTES, SUMS, SUMS_SIGNATURE, Bundle
from ucam.storage.playback.answers import Body
from ucam.storage.sealing import Sealer

_BLOCK = 512
_READ_BYTES = 1 << 20
MOST_REMEMBERED = 64  # hashes, and those that an interrupted download left half done


class Hashes:
    """How far the films of bundles were hashed, by their tag: whoever asks for the rest of a
    bundle needs the hash of all of its film.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def get(self, etag: str) -> tuple[int, Any]:
        """How many bytes, and a hash of these."""
        at, digest = self._known.get(etag) or (0, hashlib.sha256())
        return at, digest.copy()

    def keep(self, etag: str, at: int, digest: Any) -> None:
        """Remember it, if it is more than what is known."""
        if at < self._known.get(etag, (0, None))[0]:
            return
        self._known[etag] = (at, digest.copy())
        self._known.move_to_end(etag)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)


class Film:
    """A film that is hashed while it is read."""

    def __init__(self, name: str, file: Body, etag: str, hashes: Hashes) -> None:
        self.name = name
        self.etag = etag
        self._file = file
        self._hashes = hashes
        self._at, self._digest = hashes.get(etag)

    @property
    def length(self) -> int:
        """As `Body` says."""
        return self._file.length

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        data = self._file.read(position, size)
        if position <= self._at < position + len(data):
            self._digest.update(memoryview(data)[self._at - position :])
            self._at = position + len(data)
        return data

    def sha256(self) -> str:
        """Of all of it; what nobody has read yet is read now. Blocks."""
        while self._at < self.length:
            self.read(self._at, _READ_BYTES)
        return str(self._digest.hexdigest())

    def close(self) -> None:
        """As `Body` says."""
        self._hashes.keep(self.etag, self._at, self._digest)
        self._file.close()


class _File:
    """A chunk, opened when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.length = path.stat().st_size

    def read(self, position: int, size: int) -> bytes:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._descriptor, min(size, self.length - position), position)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Sums:
    """`SHA256SUMS` or its signature, known when the film has been read."""

    def __init__(self, tar: "Tar", length: int, *, signature: bool) -> None:
        self._tar = tar
        self._signature = signature
        self.length = length

    def read(self, position: int, size: int) -> bytes:
        content = self._tar.signature() if self._signature else self._tar.sums()
        return content[position : position + size]

    def close(self) -> None:
        pass


class Tar:
    """A tar file that exists nowhere. Raises `OSError` for chunks that have gone."""

    def __init__(self, files: Bundle, films: list[Film], sealer: Sealer, mtime_s: int) -> None:
        self._sealer = sealer
        self._films = films
        self._mtime_s = mtime_s
        self._parts: list[bytes | Body] = []
        self._starts: list[int] = []
        self._reading: Body | None = None
        self._texts = {
            name: hashlib.sha256(content).hexdigest()
            for name, content in files.entries
            if isinstance(content, bytes)
        }
        self.length = 0
        for name, content in files.entries:
            if isinstance(content, bytes):
                self._file(name, content)
        for film in films:
            self._file(film.name, film)
        for name, content in files.entries:
            if isinstance(content, Path):
                self._file(name, _File(content))
        names = [*self._texts, *(film.name for film in films)]
        length = sum(len(_line("0" * 64, name)) for name in names)
        self._file(SUMS, _Sums(self, length, signature=False))
        self._file(SUMS_SIGNATURE, _Sums(self, SIGNATURE_BYTES, signature=True))
        self._add(bytes(2 * _BLOCK))

    def _file(self, name: str, content: bytes | Body) -> None:
        size = len(content) if isinstance(content, bytes) else content.length
        info = tarfile.TarInfo(f"evidence/{name}")
        info.size, info.mtime = size, self._mtime_s
        self._add(info.tobuf(tarfile.PAX_FORMAT))
        self._add(content)
        self._add(bytes(-size % _BLOCK))

    def _add(self, part: bytes | Body) -> None:
        length = len(part) if isinstance(part, bytes) else part.length
        if length:
            self._starts.append(self.length)
            self._parts.append(part)
            self.length += length

    @property
    def etag(self) -> str:
        """The same only for the same bytes: chunks are in the texts with their hashes."""
        known = "".join(_line(*reversed(item)) for item in self._texts.items())
        known += "".join(f"{film.etag} {film.name}\n" for film in self._films)
        return f'"{hashlib.sha256(known.encode()).hexdigest()[:32]}"'

    def sums(self) -> bytes:
        """What `sha256sum -c` reads: of the texts and the films. Blocks."""
        lines = [_line(digest, name) for name, digest in self._texts.items()]
        lines += [_line(film.sha256(), film.name) for film in self._films]
        return "".join(lines).encode()

    def signature(self) -> bytes:
        """The storage's, of these."""
        return self._sealer.sign(self.sums())

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        number = bisect_right(self._starts, position) - 1
        part, within = self._parts[number], position - self._starts[number]
        if isinstance(part, bytes):
            return part[within : within + size]
        if self._reading is not part:
            self._leave()
            self._reading = part
        return part.read(within, min(size, part.length - within))

    def _leave(self) -> None:
        """One file is open at a time, beside those of the films."""
        if self._reading is not None and self._reading not in self._films:
            self._reading.close()

    def close(self) -> None:
        """Close what is open."""
        self._leave()
        for film in self._films:
            film.close()


def _line(digest: str, name: str) -> str:
    return f"{digest}  {name}\n"


class Slice:
    """A range of a body."""

    def __init__(self, whole: Tar, begin: int, end: int) -> None:
        self._whole = whole
        self._begin = begin
        self.length = end - begin

    def read(self, position: int, size: int) -> bytes:
        """As `Body` says."""
        return self._whole.read(self._begin + position, min(size, self.length - position))

    def close(self) -> None:
        """As `Body` says."""
        self._whole.close()
