"""What storage reads from its own disk, and what viewers ask of it."""

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fuzz.target import Target
from media.clips import clip, fragments, whole_file
from storage.helpers import PLACE, START_US, opened
from storage.playback.scenes import Scene
from ucam.media.errors import ContainerError, MediaError
from ucam.media.scan import audio_samples, samples, scan
from ucam.storage.layout import part_path
from ucam.storage.playback.answers import Answer, Problem, Request
from ucam.storage.playback.channel import PIECE_BYTES, Channel
from ucam.storage.playback.heads import read_fragment, read_tracks
from ucam.storage.playback.ranges import wanted_part
from ucam.storage.recovery import DAMAGED

HERE = frozenset({"studio"})
MEMORY = Path("/dev/shm")
SIZE = 5000
TAG = '"abc"'


def container(data: bytes) -> None:
    """A chunk's file: what is found lies inside it, and is found again in what is kept of it."""
    with contextlib.suppress(ContainerError):
        tracks = read_tracks(data[:65_536])
        read_fragment(data, 0, tracks)
    try:
        found = scan(data)
    except MediaError:
        return
    assert found.valid_length <= len(data)
    for fragment in found.fragments:
        for each in (*samples(data, fragment), *audio_samples(data, fragment)):
            assert fragment.offset < each.offset
            assert each.offset + each.size <= fragment.offset + fragment.size
    again = scan(data[: found.valid_length])
    assert again.fragments == found.fragments
    assert again.valid_length == found.valid_length


def recovery(data: bytes) -> None:
    """A `.part` with this in it: a start closes it, sets it aside or deletes it. The next start
    finds nothing to do.
    """
    folder = Path(
        tempfile.mkdtemp(
            dir=MEMORY if MEMORY.is_dir() else None, prefix=f"ucam-fuzz-{os.getpid()}-"
        )
    )
    try:
        _recover(folder, data)
    finally:
        shutil.rmtree(folder)


def _recover(folder: Path, data: bytes) -> None:
    root = folder / "chunks"
    part = root / part_path(PLACE, START_US)
    part.parent.mkdir(parents=True)
    part.write_bytes(data)
    with opened(root) as store:
        assert not part.exists()
        rows = store.index.call(lambda database: list(database.all_chunks()))
        assert len(store.files()) == len(rows)
    aside = list(root.rglob(f"*{DAMAGED}"))
    assert len(rows) + len(aside) <= 1
    with opened(root) as store:
        assert not [line for line in store.told if "not ucam's" not in line]


def ranges(data: bytes) -> None:
    """Range, If-Range and If-None-Match, a line each."""
    lines = [line.decode("latin-1") or None for line in (*data.split(b"\n"), b"", b"", b"")]
    request = Request("/", HERE, lines[0], if_range=lines[1], if_none_match=lines[2])
    for size in (0, 1, SIZE):
        try:
            part = wanted_part(request, size, TAG)
        except Problem:
            continue
        assert 0 <= part.begin <= part.end <= size
        assert part.status != 206 or part.begin < part.end


class _Wire:
    """Where answers go: so much, and no more."""

    def __init__(self) -> None:
        self.bufferedAmount = 0
        self.sent = 0

    def send(self, data: str | bytes) -> None:
        assert len(data) <= PIECE_BYTES + 4 or isinstance(data, str)
        self.sent += 1


@cache
def _scene() -> tuple[asyncio.AbstractEventLoop, Scene]:
    # Kept until the process ends, and the folder is on a disk of memory.
    folder = tempfile.mkdtemp(
        dir=MEMORY if MEMORY.is_dir() else None, prefix=f"ucam-fuzz-{os.getpid()}-"
    )
    stack = contextlib.ExitStack()
    stack.callback(shutil.rmtree, folder)
    store = stack.enter_context(opened(Path(folder) / "chunks"))
    store.record(50)
    _kept.append(stack)
    return asyncio.new_event_loop(), Scene(store)


_kept: list[contextlib.ExitStack] = []


def close() -> None:
    """Give back what targets keep between inputs."""
    while _kept:
        loop, _ = _scene()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        _scene.cache_clear()
        _kept.pop().close()


def requests(data: bytes) -> None:
    """Messages on the data channel, a line each, all at a time; those that are answered are."""
    loop, scene = _scene()
    loop.run_until_complete(_ask(scene, data))


async def _ask(scene: Scene, data: bytes) -> None:
    wire = _Wire()

    async def handle(request: Request) -> Answer:
        answer = await scene.handler.handle(request)
        assert 200 <= answer.status < 500, (request, answer.status)
        return answer

    errors: list[BaseException] = []
    channel = Channel(wire, handle, HERE, closed=lambda: False)
    channel_finished = channel._finished

    def finished(number: int, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            errors.append(error)
        channel_finished(number, task)

    channel._finished = finished  # type: ignore[method-assign]
    for line in data.split(b"\n")[:40]:
        channel.message(line.decode("utf-8", "surrogateescape"))
    await asyncio.gather(*channel._tasks.values(), return_exceptions=True)
    await channel.close()
    if errors:
        raise errors[0]


def _files() -> Iterable[bytes]:
    small = clip(frames=6, size="64x48", options="keyint=3:min-keyint=3")
    whole = whole_file(small, per_fragment=3)
    yield whole
    yield whole[:-100]
    yield whole[: -len(fragments(small, 3)[-1])] + bytes(200)


def _asked() -> list[bytes]:
    camera = f"/cameras/{PLACE.jid}"
    window = "from=2026-11-22T05:30:00Z&to=2026-11-22T05:31:00Z"
    paths = ["/cameras", "/schema", f"/chunks/{START_US}", "/metrics"]
    paths += [
        f"{camera}/{name}?{window}" for name in ("timeline", "chunks", "thumbnails", "hls.m3u8")
    ]
    paths += [
        f"{camera}/export?{window}",
        f"{camera}/export?{window}&bundle=1",
        f"{camera}/protect",
    ]
    asks = [json.dumps({"id": number, "path": path}) for number, path in enumerate(paths)]
    asks += [
        json.dumps({"id": 90, "path": paths[2], "range": "bytes=0-99", "if-range": TAG}),
        json.dumps({"id": 91, "path": f"{camera}/protect?{window}", "method": "PUT"}),
        json.dumps({"id": 92, "abort": True}),
    ]
    return [ask.encode() for ask in asks] + ["\n".join(asks[:4]).encode()]


TARGETS = {
    "fmp4": Target(container, _files),
    "recovery": Target(recovery, _files),
    "ranges": Target(
        ranges,
        lambda: [b"bytes=0-99", b"bytes=-5\n" + TAG.encode(), b"bytes=7-", b'\n\nW/"x", "abc"'],
    ),
    "requests": Target(requests, _asked),
}
