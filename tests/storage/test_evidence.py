"""The bundle, checked by the commands that stand in its HOWTO, literally; its film by ffprobe."""

import hashlib
import io
import subprocess
import tarfile
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from media.test_h265 import sets
from storage.helpers import PLACE, START_US, Store, recorder, units
from support.probe import decode_errors, frame_count
from ucam.media.track import VideoTrack
from ucam.storage.evidence import HOWTO
from ucam.storage.playback.answers import Request
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.library import Library
from ucam.storage.stream import Arrived


def library(store: Store) -> Library:
    return Library(
        store.root,
        store.index,
        recorder(store),
        on_device=lambda _place: None,
        now_us=lambda: START_US + 60_000_000,
    )


async def asked(
    store: Store, query: str = "", range_: str | None = None, handler: Handler | None = None
) -> bytes:
    path = f"/cameras/{PLACE.jid}/export?bundle=1{query}"
    request = Request(path, frozenset({PLACE.location}), range_, who="owner@shop.loc")
    answer = await (handler or Handler(library(store))).handle(request)
    assert answer.status in (200, 206)
    body = answer.body
    assert not isinstance(body, bytes)
    data, length = bytearray(), answer.length or 0
    while len(data) < length:
        data += body.read(len(data), 5000)  # type: ignore[union-attr]
    answer.close()
    return bytes(data)


@pytest.fixture
async def folder(store: Store, tmp_path: Path) -> Path:
    store.record(250)
    made = await asked(store)
    subprocess.run(["tar", "-x"], input=made, cwd=tmp_path, check=True)
    return tmp_path / "evidence"


def commands() -> list[str]:
    return [
        line.strip() for line in HOWTO.splitlines() if line.startswith(("    openssl", "    sh"))
    ]


def check(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", "verify.sh"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


async def test_the_commands_of_the_howto(folder: Path) -> None:
    said = []
    for command in commands():
        done = subprocess.run(
            command, shell=True, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        said.append(done.stdout.strip())
    verified, sums, checked, key = said
    assert verified == "Signature Verified Successfully"
    film = next(folder.glob("*.mp4"))
    assert f"{film.name}: OK" in sums.splitlines()
    assert all(line.endswith(": OK") for line in sums.splitlines())
    assert frame_count(film) == 250
    assert decode_errors(film) == ""
    assert checked == "all is as recorded"
    assert (folder / "keys" / f"{key}.pem").exists()


async def test_what_was_changed_is_named(folder: Path) -> None:
    files = sorted((folder / PLACE.jid).rglob("*.mp4"))
    assert len(files) == 5
    film = next(folder.glob("*.mp4"))
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: flip(files[1]), f"{files[1].name}: is not what was recorded"),
        (lambda: files[3].unlink(), f"{files[3].name}: is missing"),
        (lambda: flip(film), f"{film.name}: is not what was exported"),
        (film.unlink, f"{film.name}: is missing"),
    ]
    for change, told in changes:
        change()
        status, said = check(folder)
        assert status == 1
        assert told in said


async def test_a_line_that_was_taken_out_or_moved(folder: Path) -> None:
    path = folder / "chain.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], *lines[3:]]))
    assert check(folder)[0] == 1
    assert "between link 1 and link 3" in check(folder)[1]
    path.write_text("".join([lines[0], lines[2].replace("recorded", "recovered"), *lines[3:]]))
    assert "link 2: its signature is wrong" in check(folder)[1]


async def test_another_manifest(folder: Path) -> None:
    manifest = folder / "manifest.txt"
    assert f"camera: {PLACE.jid}" in manifest.read_text()
    manifest.write_text(manifest.read_text().replace("files: 5", "files: 6"))
    assert "manifest.txt: is not what was exported" in check(folder)[1]
    sums = folder / "SHA256SUMS"
    lines = [line.split("  ") for line in sums.read_text().splitlines()]
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    sums.write_text(
        "".join(f"{digest if name == manifest.name else sum_}  {name}\n" for sum_, name in lines)
    )
    done = subprocess.run(commands()[0], shell=True, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1
    assert "SHA256SUMS: its signature is wrong" in check(folder)[1]


async def test_a_window_and_a_range(store: Store) -> None:
    store.record(250)
    whole = await asked(store)
    assert await asked(store, range_="bytes=1000-60000") == whole[1000:60001]
    some = await asked(store, "&from=2026-11-22T05:30:03Z&to=2026-11-22T05:30:05Z")
    with tarfile.open(fileobj=io.BytesIO(some)) as tar:
        assert sum(f"/{PLACE.jid}/" in name for name in tar.getnames()) == 2


async def test_the_rest_of_it_from_any_byte_on(store: Store) -> None:
    """The last bytes say the hash of a film that nobody has read yet, or a part of it."""
    store.record(250)
    whole = await asked(store)
    for handler in (Handler(library(store)) for _ in range(2)):
        for begin in (len(whole) - 1500, 0, 3000, len(whole) // 2, len(whole) - 3000):
            assert await asked(store, range_=f"bytes={begin}-", handler=handler) == whole[begin:]


async def test_flat_memory(store: Store) -> None:
    """However much is exported: only what is being read is in memory."""
    store.record(100, size=200_000)
    tracemalloc.start()
    try:
        whole = sum([length async for length in lengths(store)])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert whole > 40_000_000
    assert most < 5_000_000


async def lengths(store: Store) -> AsyncIterator[int]:
    answer = await Handler(library(store)).handle(
        Request(f"/cameras/{PLACE.jid}/export?bundle=1", frozenset({PLACE.location}))
    )
    body, position = answer.body, 0
    while position < (answer.length or 0):
        read = len(body.read(position, 100_000))  # type: ignore[union-attr]
        position += read
        yield read
    answer.close()


async def test_a_camera_that_changed_its_codec(store: Store) -> None:
    """Then there is no one film, and the manifest says so."""
    store.record(50)
    recording = await recorder(store).begin(PLACE, "run2")
    other = VideoTrack.h265(sets())
    for unit in units(25, start_us=START_US + 10_000_000):
        recording.push(Arrived(unit, other, stepped=False))
    await recording.finish("the camera was switched off")
    data = await asked(store)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        manifest = tar.extractfile("evidence/manifest.txt")
        assert manifest is not None
        assert b"film: none, for the camera changed its codec" in manifest.read()
    assert not any(name.count("/") == 1 and name.endswith(".mp4") for name in names)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
