"""What the storage's tests share: access units with chosen times, a storage in a folder."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import OKPKey

from media.clips import clip
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds
from ucam.media.track import VideoTrack
from ucam.storage.cutter import Action, AddFragment, CloseChunk, Cutter, OpenChunk
from ucam.storage.disk import Disk
from ucam.storage.index import Index
from ucam.storage.layout import Place
from ucam.storage.mending import Mender
from ucam.storage.recorder import Recorder
from ucam.storage.records import Durable
from ucam.storage.recovery import recover
from ucam.storage.rotation import Ledger
from ucam.storage.sealing import Sealer, ensure_key, public_keys
from ucam.storage.space import Space
from ucam.storage.stream import Arrived
from ucam.storage.writer import ChunkWriter, LiveChunk

START_US = 1_795_325_400_123_456  # 2026-11-22T05:30:00.123456Z
PLACE = Place("studio", "cam001@studio.loc")
FRAME_90K = 3600  # 25 pictures a second


def track() -> VideoTrack:
    """The track that `picture`'s clip belongs to."""
    return VideoTrack.h264(clip(b_frames=0).parameter_sets)


def units(
    count: int, *, start_us: int = START_US, first: int = 0, keyframes: int = 25, size: int = 0
) -> Iterator[AccessUnit]:
    """Real pictures, 25 a second, a keyframe each `keyframes` (25: as the clip has them).

    With `size`: not pictures but NAL units of so many bytes.
    """
    source = clip(b_frames=0).units
    for position in range(count):
        data = (size - 4).to_bytes(4) + bytes(size - 4) if size else source[position % 25].data
        pts = position * FRAME_90K
        yield AccessUnit(
            data, pts, start_us + microseconds(pts), position % keyframes == 0, first + position
        )


def cut(cutter: Cutter, source: Iterator[AccessUnit], limit: int | None = None) -> list[Action]:
    """What the cutter makes of access units, its end included."""
    actions = cutter.begin(track(), "run1", None)
    for unit in source:
        actions += cutter.push(unit, limit)
    return actions + cutter.end(None)


@dataclass
class Store:
    """A storage's disk part, in a folder."""

    root: Path
    index: Index
    space: Space
    disk: Disk
    told: list[str]
    durable: list[Durable] = field(default_factory=list)
    heard: list[tuple[str, int]] = field(default_factory=list)
    live: dict[int, LiveChunk] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mender = Mender(self.root, self.index, self.space, self.disk)

    def writer(self, place: Place = PLACE, fragments: int = 100) -> ChunkWriter:
        return ChunkWriter(
            self.root,
            place,
            self.index,
            self.space,
            self.disk,
            fragments=fragments,
            durable=self.durable.append,
            heard=lambda run, last_90k: self.heard.append((run, last_90k)),
            opened=lambda chunk: self.live.__setitem__(chunk.id, chunk),
            closed=lambda chunk: self.live.__delitem__(chunk.id),
            unfinished=self.mender.add,
        )

    def write(self, actions: list[Action], place: Place = PLACE) -> ChunkWriter:
        """Do what a cutter said."""
        writer = self.writer(place)
        for action in actions:
            match action:
                case OpenChunk():
                    writer.open(action, "the test began")
                case AddFragment():
                    writer.append(action)
                case CloseChunk():
                    writer.close()
        return writer

    def record(self, count: int, chunk_us: int | None = 2_000_000, **kind: int) -> None:
        """Chunks of so many pictures."""
        self.write(cut(Cutter(chunk_us, None), units(count, **kind)))

    def files(self, pattern: str = "*.mp4") -> list[Path]:
        return sorted(self.root.rglob(pattern))


@contextmanager
def opened(root: Path, maxspace: int | None = None, disk: Disk | None = None) -> Iterator[Store]:
    """Open as the service does: index, recovery, room."""
    disk = disk or Disk()
    root.mkdir(exist_ok=True)
    index = Index(root)
    index.open()
    try:
        sealer = Sealer(root, ensure_key(root.parent), public_keys(root.parent))
        found = index.call(lambda database: recover(root, database, disk, sealer))
        ledger = Ledger(maxspace=maxspace, reserve=0, closed=found.closed)
        space = Space(
            *(root, index, ledger, disk, sealer),
            folders=found.folders,
            foreign=found.foreign_bytes,
        )
        space.trim()
        yield Store(root, index, space, disk, found.told)
    finally:
        index.call(lambda _database: sealer.flush())
        index.close()


ISSUER = "https://cams.test"


class Tokens:
    """An issuer of tokens, and the file with its public key."""

    def __init__(self, folder: Path) -> None:
        self._key = OKPKey.generate_key("Ed25519", parameters={"kid": "test"})
        self.keys_file = folder / "jwks.json"
        public = self._key.as_dict(private=False)
        self.keys_file.write_text(json.dumps({"keys": [public]}))

    def issue(
        self, sub: str, role: str = "device", loc: tuple[str, ...] = ("studio",), life_s: int = 600
    ) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": "ucam",
            "sub": sub,
            "role": role,
            "loc": loc,
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + life_s,
        }
        header = {"alg": "EdDSA", "kid": "test"}
        return jwt.encode(header, claims, self._key, algorithms=["EdDSA"])


def sealer(root: Path) -> Sealer:
    """As `opened` has it."""
    return Sealer(root, ensure_key(root.parent), public_keys(root.parent))


def recorder(store: Store, chunk_us: int | None = 2_000_000) -> Recorder:
    """A recorder on a store."""
    return Recorder(
        store.root, store.index, store.space, store.disk, chunk_us=chunk_us, chunk_bytes=None
    )


def arrived(source: Iterator[AccessUnit]) -> Iterator[Arrived]:
    """Access units as a stream gives them."""
    described = track()
    for unit in source:
        yield Arrived(unit, described, stepped=False)
