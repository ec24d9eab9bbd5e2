"""The bundle, checked as its HOWTO says: by the commands that stand in it, literally."""

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, Store, recorder
from ucam.storage.evidence import HOWTO
from ucam.storage.playback.answers import Request
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.library import Library


async def asked(store: Store, query: str = "", range_: str | None = None) -> bytes:
    library = Library(
        store.root,
        store.index,
        recorder(store),
        on_device=lambda _place: None,
        now_us=lambda: START_US + 60_000_000,
    )
    path = f"/cameras/{PLACE.jid}/export?bundle=1{query}"
    request = Request(path, frozenset({PLACE.location}), range_, who="owner@shop.loc")
    answer = await Handler(library).handle(request)
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
        ["sh", "check.sh"], cwd=folder, capture_output=True, text=True, check=False
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
    verified, checked, key = said
    assert verified == "Signature Verified Successfully"
    assert checked == "all is as recorded"
    assert (folder / "keys" / f"{key}.pem").exists()


async def test_what_was_changed_is_named(folder: Path) -> None:
    files = sorted(folder.rglob("*.mp4"))
    assert len(files) == 5
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: flip(files[1]), f"{files[1].name}: is not what was recorded"),
        (lambda: files[3].unlink(), f"{files[3].name}: is missing"),
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
    done = subprocess.run(commands()[0], shell=True, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1


async def test_a_window_and_a_range(store: Store) -> None:
    store.record(250)
    whole = await asked(store)
    assert await asked(store, range_="bytes=1000-60000") == whole[1000:60001]
    some = await asked(store, "&from=2026-11-22T05:30:03Z&to=2026-11-22T05:30:05Z")
    with tarfile.open(fileobj=io.BytesIO(some)) as tar:
        assert sum(name.endswith(".mp4") for name in tar.getnames()) == 2


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
