"""Sealing chunks: their links into the index and, beside them, into files that survive the index.

    PATH/<location>/<device JID>/2026-11-22/chain     the links of that day's chunks
    PATH/<location>/<device JID>/chain-gone           what rotation has taken

A link is written and synced before the chunk's row: a row without a link is not sealed, a link
without a row is adopted by the start that gives the file its row. Everything here runs in the
index's thread: the chain of a device has one end at a time.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ucam.base.files import sync_directory, write_atomically
from ucam.base.times import format_utc
from ucam.storage.chain import (
    START,
    ChainError,
    Gone,
    Link,
    Parts,
    parse,
    signed,
    with_numbers,
)
from ucam.storage.database import Database
from ucam.storage.disk import FILE_MODE
from ucam.storage.layout import CHAIN, CHAIN_GONE, Place, chunk_path, days, folder, read_name
from ucam.storage.records import Chunk, Durable, Gap

_log = logging.getLogger(__name__)
KEY_NAME = "evidence-key.pem"
PUBLIC_NAME = "evidence-public-{}.pem"
READ_BYTES = 1 << 20


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def public_pem(key: Ed25519PublicKey) -> bytes:
    """As openssl reads it."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def ensure_key(folder: Path) -> Ed25519PrivateKey:
    """The storage's signing key; made in `folder` when there is none.

    The public half stays in the folder even if the key is lost: old chains can still be verified.
    Raises `OSError`, or `ValueError` for a file that holds no such key.
    """
    path = folder / KEY_NAME
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_atomically(path, pem, mode=0o600)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 key")
    public = folder / PUBLIC_NAME.format(key_id(key.public_key()))
    if not public.exists():
        write_atomically(public, public_pem(key.public_key()), mode=0o644)
    return key


def public_keys(folder: Path) -> dict[str, Ed25519PublicKey]:
    """The keys that ever signed here, by id. Raises `OSError` and `ValueError`."""
    found = {}
    for path in folder.glob(PUBLIC_NAME.format("*")):
        key = serialization.load_pem_public_key(path.read_bytes())
        if isinstance(key, Ed25519PublicKey):
            found[key_id(key)] = key
    return found


def verified(keys: dict[str, Ed25519PublicKey], line: str) -> Link | Gone:
    """What a line says, if a known key says it; raises `ChainError`."""
    said, signature = parse(line)
    key = keys.get(said.key)
    if key is None:
        raise ChainError(f"signed with a key {said.key} that is not this storage's")
    try:
        key.verify(signature, said.statement.encode())
    except InvalidSignature:
        raise ChainError("its signature is wrong") from None
    return said


def hash_parts(descriptor: int, size: int, head_bytes: int) -> Parts:
    """The two hashes of an open file, read from it."""
    head = hashlib.sha256(os.pread(descriptor, head_bytes, 0)).hexdigest()
    media, at = hashlib.sha256(), head_bytes
    while at < size and (block := os.pread(descriptor, min(READ_BYTES, size - at), at)):
        media.update(block)
        at += len(block)
    return Parts(head_bytes, head, media.hexdigest())


def device_folder(root: Path, place: Place) -> Path:
    """Where a device's days stand."""
    return root / place.location / place.jid


def chain_files(root: Path, place: Place) -> list[Path]:
    """A device's chain files, oldest day first."""
    found = [root / folder(place, day_us).parent / CHAIN for day_us in sorted(days(root, place))]
    return [path for path in found if path.exists()]


def lines_of(path: Path) -> Iterator[str]:
    """The whole lines of a chain file."""
    text = path.read_bytes().decode("utf-8", "replace")
    yield from text[: text.rfind("\n") + 1].splitlines()


def start_of(link: Link) -> int | None:
    """The id of a link's chunk, from its path."""
    named = read_name(link.path.rpartition("/")[2])
    return None if named is None else named[0]


@dataclass(slots=True)
class _End:
    number: int
    digest: str


class Sealer:
    """Signs for one storage. Its methods run in the index's thread."""

    def __init__(
        self,
        root: Path,
        key: Ed25519PrivateKey,
        keys: dict[str, Ed25519PublicKey],
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._root = root
        self._key = key
        self._keys = keys
        self._id = key_id(key.public_key())
        self._now_us = now_us
        self._ends: dict[Place, _End] = {}
        self._unwritten: dict[Place, str] = {}
        # What rotation has taken, as last read or said: to verify one's own words costs most of
        # a step.
        self._taken: dict[Place, tuple[tuple[int, int], ...]] = {}

    def add(
        self,
        database: Database,
        chunk: Chunk,
        durable: Durable | None,
        gap: Gap | None,
        parts: Callable[[], Parts],
        kind: str,
    ) -> int:
        """Seal a chunk and give it its row; returns by how many bytes files have grown.

        `parts` is asked only if the chunk isn't sealed already. Raises `OSError`, `sqlite3.Error`.
        """
        end = self._end(database, chunk.place)
        known = database.connection.execute(
            "SELECT 1 FROM links l JOIN devices d ON d.id = l.device"
            " WHERE chunk = ? AND location = ? AND jid = ?",
            (chunk.id, chunk.place.location, chunk.place.jid),
        ).fetchone()
        if known is not None:
            database.add_chunk(chunk, durable, gap)
            return 0
        path = chunk_path(chunk.place, chunk.id, chunk.duration_us)
        link = Link(
            chunk.place.location,
            chunk.place.jid,
            end.number + 1,
            kind,
            str(Path(*path.parts[2:])),
            chunk.bytes,
            parts(),
            end.digest,
            self._id,
            format_utc(self._now_us()),
        )
        line = self._sign(link.statement)
        # From here on the end isn't known until all of it is done: it is looked up again.
        del self._ends[chunk.place]
        _append(self._root / folder(chunk.place, chunk.id).parent / CHAIN, line)
        with database.transaction():
            database.add_chunk(chunk, durable, gap)
            self._insert(database, chunk.place, link.number, chunk.id, line)
        self._ends[chunk.place] = _End(link.number, link.digest)
        self._write_gone(chunk.place)
        return len(line) + 1

    def _sign(self, statement: str) -> str:
        return signed(statement, self._key.sign(statement.encode()))

    def sign(self, data: bytes) -> bytes:
        """A signature on anything else that this storage gives out."""
        return self._key.sign(data)

    @property
    def keys(self) -> dict[str, Ed25519PublicKey]:
        """The keys that ever signed here, by id."""
        return self._keys

    @property
    def id(self) -> str:
        """The id of the key that signs now."""
        return self._id

    def _insert(self, database: Database, place: Place, number: int, chunk: int, line: str) -> None:
        database.connection.execute(
            "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)",
            (database.device(place), number, chunk, line),
        )

    def _end(self, database: Database, place: Place) -> _End:
        if place not in self._ends:
            self.adopt(database, place)
            row = database.connection.execute(
                "SELECT line FROM links WHERE device = ? ORDER BY number DESC LIMIT 1",
                (database.device(place),),
            ).fetchone()
            last = None if row is None else parse(row[0])[0]
            if isinstance(last, Link):
                self._ends[place] = _End(last.number, last.digest)
            else:
                gone = self._gone(database, place)
                self._ends[place] = _End(gone[-1][1] if gone else -1, START)
        return self._ends[place]

    def adopt(self, database: Database, place: Place) -> int:
        """Take links from the files into an index that lacks them; returns how many."""
        device = database.device(place)
        (last,) = database.connection.execute(
            "SELECT coalesce(max(number), -1) FROM links WHERE device = ?", (device,)
        ).fetchone()
        files = chain_files(self._root, place)
        gone = self._gone(database, place)
        adopted = 0
        with database.transaction():
            # What an index that wasn't lost lacks was written last.
            for path in files if last < 0 else files[-2:]:
                _cut_torn(path)
                for line in lines_of(path):
                    try:
                        link = verified(self._keys, line)
                    except ChainError:
                        continue  # `ucam verify` tells it
                    start_us = start_of(link) if isinstance(link, Link) else None
                    if not isinstance(link, Link) or start_us is None or link.number <= last:
                        continue
                    if any(first <= link.number <= end for first, end in gone):
                        continue
                    self._insert(database, place, link.number, start_us, line)
                    adopted += 1
        return adopted

    # What rotation takes

    def _gone(self, database: Database, place: Place) -> tuple[tuple[int, int], ...]:
        if place not in self._taken:
            said = gone_of_index(database, place, self._keys)
            if said is None:
                said = read_gone(self._root, place, self._keys)
            self._taken[place] = () if said is None else said.ranges
        return self._taken[place]

    def taken(self, database: Database, chunks: list[Chunk]) -> None:
        """Rotation has taken these: say so, signed, before their rows go. Can be said twice."""
        for place in {chunk.place for chunk in chunks}:
            end = self._end(database, place)
            device = database.device(place)
            ids = [chunk.id for chunk in chunks if chunk.place == place]
            marks = ",".join("?" * len(ids))
            numbers = [
                number
                for (number,) in database.connection.execute(
                    f"SELECT number FROM links WHERE device = ? AND chunk IN ({marks})",  # noqa: S608 - question marks
                    (device, *ids),
                )
            ]
            if not numbers:
                continue
            ranges = with_numbers(self._gone(database, place), numbers)
            gone = Gone(*_place(place), ranges, self._id, format_utc(self._now_us()))
            line = self._sign(gone.statement)
            with database.transaction():
                database.connection.execute(
                    "UPDATE devices SET gone = ? WHERE id = ?", (line, device)
                )
                # The chain's end stays: the next link is tied to it.
                database.connection.execute(
                    f"DELETE FROM links WHERE device = ? AND number < ? AND chunk IN ({marks})",  # noqa: S608 - question marks
                    (device, end.number, *ids),
                )
            self._unwritten[place] = line
            self._taken[place] = ranges

    def doubt(self) -> None:
        """What `taken` said last may not be in the index: look again."""
        self._taken.clear()

    def flush(self) -> None:
        """Write what rotation has taken to its files, too: at a stop, with each new chunk, and from
        time to time. Not at each step: the index has it, signed as well, and a step must be cheap.
        """
        for place in list(self._unwritten):
            self._write_gone(place)

    def _write_gone(self, place: Place) -> None:
        line = self._unwritten.get(place)
        if line is None:
            return
        path = device_folder(self._root, place) / CHAIN_GONE
        try:
            write_atomically(path, f"{line}\n".encode(), mode=FILE_MODE)
        except OSError as error:
            _log.warning("%s can't be written now: %s", path, error)
        else:
            del self._unwritten[place]


def gone_of_index(
    database: Database, place: Place, keys: dict[str, Ed25519PublicKey]
) -> Gone | None:
    """What rotation has taken of a device, as the index says it, signed."""
    row = database.connection.execute(
        "SELECT gone FROM devices WHERE location = ? AND jid = ?", _place(place)
    ).fetchone()
    return None if row is None or not row[0] else _said(row[0], place, keys)


def _said(line: str, place: Place, keys: dict[str, Ed25519PublicKey]) -> Gone | None:
    try:
        said = verified(keys, line)
    except ChainError:
        return None
    mine = isinstance(said, Gone) and (said.location, said.jid) == _place(place)
    return said if mine and isinstance(said, Gone) else None


def read_gone(root: Path, place: Place, keys: dict[str, Ed25519PublicKey]) -> Gone | None:
    """What rotation has taken of a device; None if nothing, or nobody trustworthy says so."""
    try:
        text = (device_folder(root, place) / CHAIN_GONE).read_text(errors="replace")
    except OSError:
        return None
    return _said(text.strip(), place, keys)


def _place(place: Place) -> tuple[str, str]:
    return place.location, place.jid


def _append(path: Path, line: str) -> None:
    """One line at the file's end, durable; or the file as it was."""
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    try:
        size = os.fstat(descriptor).st_size
        data = f"{line}\n".encode()
        try:
            if os.write(descriptor, data) != len(data):
                raise OSError(f"{path}: the disk took less than a line")
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)


def _cut_torn(path: Path) -> None:
    """A power cut may have left half a line."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        os.truncate(path, whole)
