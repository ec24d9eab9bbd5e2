"""A camera and its storage, each a process of its own, and the oracle over what was recorded."""

import itertools
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import av

from faults.network import Network
from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess
from support.program import Program
from ucam.capture import counter
from ucam.storage.database import Database
from ucam.storage.layout import INDEX
from ucam.storage.records import Chunk, Gap

RATE = 15
FRAME_US = 1_000_000 // RATE
VIDEO = f"""source = "test"
width = 640
height = 360
framerate = {RATE}
bitrate = "500kbit/s" """


class CameraProcess(Program):
    """`ucam capture` with the test picture, for the storage at a port that stays."""

    def __init__(
        self,
        folder: Path,
        tokens: Tokens,
        port: int,
        *,
        under: Sequence[str] = (),
        video: str = VIDEO,
        spool: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        """`under`: a command that runs it; `spool`: further lines of [spool]."""
        config, log = folder / "capture.toml", folder / "capture.log"
        super().__init__(config, log, under=under, environment=environment)
        self.spool = folder / "spool"
        self.folder = self.spool / CAMERA
        token = folder / "capture-token"
        token.write_text(tokens.issue(CAMERA, life_s=86_400))
        fingerprint = (folder / "fingerprint").read_text()
        self.config.write_text(f"""
            [device]
            jid = "{CAMERA}"
            token-file = "{token}"
            [web]
            url = "http://127.0.0.1:9"
            [storage]
            url = "rtsps://127.0.0.1:{port}"
            fingerprint = "{fingerprint}"
            [spool]
            path = "{self.spool}"
            {spool}
            [video]
            {video}
        """)

    def start(self) -> None:
        self.begin("capture")

    def stop(self, within_s: float = 30) -> None:
        super().stop(within_s)

    def runs(self) -> list[str]:
        """The runs that it began, by its log."""
        log = self.log.read_text() if self.log.exists() else ""
        return re.findall(r"run ([0-9a-f]{16}):", log)

    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.seg"))


class Stored(NamedTuple):
    """A picture in storage, by the index (run, number) and by its own picture (`counter`)."""

    run: str
    number: int
    counter: int | None
    utc_us: int


class Chain:
    """Both in one folder; the storage's port stays the same over restarts."""

    def __init__(
        self,
        folder: Path,
        network: Network,
        *,
        port: int = 8322,
        storage: dict[str, str] | None = None,
        spool: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        """`storage`: keys of its [storage]; `spool`, `environment`: see `CameraProcess`."""
        self.tokens = Tokens(folder)
        self.network = network
        self.port = port
        under = network.under
        keys = {"chunk_size": "10s", **(storage or {})}
        self.storage = StorageProcess(
            folder, self.tokens, root=folder / "chunks", under=under, port=port, **keys
        )
        self.storage.start()
        self._keep_fingerprint(folder)
        self.camera = CameraProcess(
            folder, self.tokens, port, under=under, spool=spool, environment=environment
        )

    def _keep_fingerprint(self, folder: Path) -> None:
        matched = re.search(r"sha256:[0-9a-f]{64}", self.storage.log.read_text())
        assert matched is not None, self.storage.log.read_text()
        (folder / "fingerprint").write_text(matched[0])

    def __enter__(self) -> "Chain":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for process in (self.camera, self.storage):
            if kind is not None:
                print(f"--- {process.log.name}\n{process.tail()}")
            if process.running:
                process.kill()

    def record(self) -> None:
        """Start the camera, and wait for its pictures in storage."""
        self.camera.start()
        wait_until("it records", lambda: list(self.storage.root.rglob("*.part")))

    def stop(self) -> None:
        self.camera.stop()
        self.storage.stop()

    def settle(self, within_s: float = 60) -> list[Stored]:
        """Wait until what was spooled is delivered, let it go on for a moment, and stop both;
        every picture, as `stored`.
        """
        wait_until("the spool is empty", lambda: not self.camera.segments(), within_s)
        time.sleep(4)
        self.stop()
        return self.stored()

    def database(self) -> Database:
        return Database(self.storage.root / INDEX)

    def rows(self) -> list[Chunk]:
        database = self.database()
        try:
            return sorted(database.all_chunks(), key=lambda chunk: chunk.id)
        finally:
            database.close()

    def gaps(self) -> list[Gap]:
        database = self.database()
        try:
            return database.gaps(self.rows()[0].place, 0, 1 << 62)
        finally:
            database.close()

    def stored(self) -> list[Stored]:
        """Every picture, in the order of the chunks. Both programs have ended."""
        checked = self.storage.fsck()
        assert checked.returncode == 0, checked.stdout
        # One decoder for a run: after a storage that was stopped, a chunk may go on in the middle
        # of a group of pictures.
        found: list[Stored] = []
        of_run = ""
        decoder: av.VideoCodecContext | None = None
        for chunk, path in zip(self.rows(), self.storage.chunks(), strict=True):
            if chunk.run != of_run:
                of_run, decoder = chunk.run, None
            decoder = decoder or _decoder(path)
            found += _pictures(chunk, path, decoder)
        return found


def _decoder(path: Path) -> av.VideoCodecContext:
    with av.open(str(path)) as container:
        described = container.streams.video[0].codec_context
        decoder = av.CodecContext.create(described.name, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = described.extradata
        decoder.flags |= av.codec.context.Flags.low_delay
        return decoder


def _pictures(chunk: Chunk, path: Path, decoder: av.VideoCodecContext) -> list[Stored]:
    found: list[Stored] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is None:
                continue
            for frame in decoder.decode(packet):
                assert isinstance(frame, av.VideoFrame)
                plane = frame.planes[0]
                seen = counter.read(bytes(plane), plane.line_size, frame.width, frame.height)
                number = chunk.first_number + len(found)
                found.append(Stored(chunk.run, number, seen, packet.pts * 100 // 9))
    assert len(found) == chunk.last_number - chunk.first_number + 1, path
    return found


def assert_whole(stored: list[Stored], *, longest_step: float = 1.5) -> None:
    """Within each run: numbers and the pictures' own counters go up by one, from the first on;
    times as well. Runs stand one behind the other.
    """
    seen: list[str] = [run for run, _ in itertools.groupby(stored, key=lambda item: item.run)]
    assert len(seen) == len(set(seen)), f"runs are mixed: {seen}"
    for run, items in itertools.groupby(stored, key=lambda item: item.run):
        pictures = list(items)
        assert pictures[0].number == 0, f"{run} begins with {pictures[0].number}"
        for before, after in itertools.pairwise(pictures):
            assert after.number == before.number + 1, (run, before, after)
            assert before.counter is not None, before
            assert after.counter == before.counter + 1, (run, before, after)
            step = (after.utc_us - before.utc_us) / FRAME_US
            assert 0 < step < longest_step, (run, before, after)
    for before, after in itertools.pairwise(stored):
        assert before.utc_us < after.utc_us, (before, after)


def wait_until(what: str, condition: Callable[[], object], within_s: float = 60) -> None:
    """Wait for it, with a bound that a busy machine keeps."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)
