"""Storage's disk part, in a process that is going to die; and what must be there afterwards.

A life is a child of the test's process: it opens the store as the service does, records pictures
as fast as the disk takes them, and tells through a pipe each number that it confirms.
"""

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, TypeVar

from storage.helpers import START_US, Store, opened, track, units
from storage.test_fsck import configured
from ucam.storage import index
from ucam.storage.cutter import Action, AddFragment, CloseChunk, Cutter, OpenChunk
from ucam.storage.disk import Disk
from ucam.storage.fsck import look
from ucam.storage.records import Chunk, Durable
from ucam.storage.writer import ChunkWriter

R = TypeVar("R")
CHUNK_US = 2_000_000
# A life's pictures are an hour behind those of the one before it.
APART_US = 3_600_000_000
MOST_PICTURES = 60_000
PIECE = 4096


class Told(list[Durable]):
    """What is confirmed goes down a pipe, at once."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    def append(self, durable: Durable) -> None:
        os.write(self._pipe, b"%d\n" % durable.number)


def do(writer: ChunkWriter, actions: list[Action]) -> None:
    """Carry out what a cutter said."""
    for action in actions:
        match action:
            case OpenChunk():
                writer.open(action, "the storage was killed")
            case AddFragment():
                writer.append(action)
            case CloseChunk():
                writer.close()


def record(store: Store, number: int, pictures: int) -> None:
    """A run of its own for each life, its numbers from 0 on."""
    writer = store.writer()
    cutter = Cutter(CHUNK_US, None)
    do(writer, cutter.begin(track(), f"run{number}", None))
    for unit in units(pictures, start_us=START_US + number * APART_US):
        do(writer, cutter.push(unit, None))
    do(writer, cutter.end(None))


class Inline:
    """An executor in the thread of who asks: then every system call comes in one order."""

    def __init__(self, **_: Any) -> None:
        pass

    def submit(self, work: Callable[..., R], *args: Any, **kwargs: Any) -> "Future[R]":
        done: Future[R] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as an executor does
            done.set_exception(error)
        return done

    def shutdown(self) -> None:
        """Nothing waits."""


@dataclass
class Life:
    """One process. `confirmed`: the last number that it told, -1 before the first."""

    number: int
    pid: int
    _pipe: int
    confirmed: int = -1
    ended: bool = False
    counts: bool = True
    _rest: bytes = field(default=b"")

    def read(self) -> bool:
        """Take what it told; False when it is dead and no more will come."""
        data = os.read(self._pipe, PIECE)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines if self.counts else ():
            assert int(line) > self.confirmed, "confirmations go back"
            self.confirmed = int(line)
        self.ended = self.ended or not data
        return not self.ended

    def wait_for(self, confirmed: int) -> None:
        """Until it has confirmed so much, or is dead."""
        while self.confirmed < confirmed and self.read():
            pass

    def idle(self, seconds: float) -> None:
        """Let it work on for a moment."""
        select.select([], [], [], seconds)

    def last_words(self) -> None:
        """What it has told by now; what comes later doesn't count."""
        while select.select([self._pipe], [], [], 0)[0] and self.read():
            pass
        self.counts = False

    def kill(self) -> None:
        """`kill -9`, and what it had told before."""
        os.kill(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> int:
        """Wait for its end; its wait status."""
        while self.read():
            pass
        os.close(self._pipe)
        return os.waitpid(self.pid, 0)[1]


def born(
    root: Path,
    number: int,
    *,
    maxspace: int | None = None,
    disk: Disk | None = None,
    pictures: int = MOST_PICTURES,
    when: Callable[[], object] = lambda: None,
    inline: bool = False,
) -> Life:
    """Begin a life. `when`: is waited for behind the start, before the first picture."""
    read, write = os.pipe()
    units_made = units(1)
    next(units_made)  # the clip is made by the parent, once
    pid = os.fork()
    if pid:
        os.close(write)
        return Life(number, pid, read)
    status = 1
    try:
        os.close(read)
        if inline:
            setattr(index, "ThreadPoolExecutor", Inline)  # noqa: B010
        with opened(root, maxspace, disk) as store:
            store.durable = Told(write)
            when()
            record(store, number, pictures)
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the child may come back into the test
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)


@contextmanager
def started(root: Path, maxspace: int | None = None) -> Iterator[Store]:
    """A start after a death. It mends, and says what it did; what it must never say is that
    something is missing.
    """
    with opened(root, maxspace) as store:
        lost = [line for line in store.told if "missing" in line or "can't be read" in line]
        assert not lost, lost
        yield store


def rows(store: Store) -> list[Chunk]:
    found = store.index.call(lambda database: list(database.all_chunks()))
    return sorted(found, key=lambda chunk: chunk.id)


def assert_kept(root: Path, lives: list[Life], maxspace: int | None = None) -> None:
    """After a start: fsck is clean, and of each life all numbers up to what it confirmed are
    there, but for the oldest, which rotation may have taken.
    """
    with started(root, maxspace) as store:
        kept = rows(store)
    # Only what was open can be open no more.
    assert not list(root.rglob("*.part"))
    problems = look(configured(root, f"{maxspace or 1 << 40}B"))
    assert not problems, problems
    by_life = {
        int(run.removeprefix("run")): list(chunks)
        for run, chunks in groupby(kept, key=lambda chunk: chunk.run)
    }
    oldest = min(by_life, default=len(lives)) if maxspace else -1
    for life in lives:
        chunks = by_life.get(life.number, [])
        for before, after in pairwise(chunks):
            assert after.first_number == before.last_number + 1, (life.number, before, after)
        if life.number > oldest and life.confirmed >= 0:
            assert chunks, f"nothing is left of life {life.number}: {life.confirmed} confirmed"
            assert chunks[0].first_number == 0, (life.number, chunks[0])
        if chunks:
            assert chunks[-1].last_number >= life.confirmed, (life, chunks[-1])
    # The newest life is never taken as a whole: what it confirmed last is there.
    if lives and lives[-1].confirmed >= 0:
        assert lives[-1].number in by_life


class Unsynced(Disk):
    """A disk that forgets to sync: a negative control."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""

    def sync_folder(self, path: Path) -> None:
        """Nothing."""


class Hoarding(Disk):
    """A disk that says "written" one write too early: a negative control."""

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}

    def write(self, descriptor: int, buffers: Any) -> int:
        """Keep this, write the last one."""
        data = b"".join(buffers)
        super().write(descriptor, [self._kept.get(descriptor, b"")])
        self._kept[descriptor] = data
        return len(data)

    def overwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        """The chunk is closed: now all of it."""
        super().write(descriptor, [self._kept.pop(descriptor, b"")])
        super().overwrite(descriptor, data, offset)
