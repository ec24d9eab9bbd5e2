"""`ucam backup` and `ucam restore`: beside a service that runs, onto a machine that has nothing,
and what is refused."""

import asyncio
import hashlib
import io
import json
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from ucam.base.service import Fault
from ucam.cli.backup import secrets_of
from ucam.web.archive import MANIFEST, Entry, Manifest
from ucam.web.backup import back_up
from ucam.web.keys import KeyStore
from ucam.web.restore import restore
from ucam.web.state_sqlite import SqliteState
from web.helpers import (
    ANN,
    TILL,
    TOML,
    YARD,
    Running,
    free_port,
    load_config,
    running,
    ucam,
    write_config,
)

NOW_S = 1_800_000_000.0


async def backed_up(web: Running, file: Path) -> str:
    status, out, err = await ucam("backup", str(file), "--config", str(web.config_path))
    assert (status, err) == (0, "")
    return out


async def test_the_whole_way_to_another_machine(tmp_path: Path) -> None:
    """A person, a camera that has renewed its token since the back-up, and a revoked one."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    file = tmp_path / "ucam.backup"
    async with running(old) as web:
        config = ("--config", str(web.config_path))
        session = await web.log_in(ANN)
        camera, stolen = [(await ucam("token", jid, *config))[1].strip() for jid in (TILL, YARD)]
        async with web.room(camera):
            pass
        listed = (await ucam("tokens", *config))[1].splitlines()
        (sid,) = [line.split()[0] for line in listed if YARD in line]
        assert (await ucam("tokens", "--revoke", sid, *config))[0] == 0
        assert "keep it where only you can read it" in await backed_up(web, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        renewed = (await web.recycle(camera)).json()["token"]
        status, _, err = await ucam("backup", str(file), *config)
        assert (status, "never overwritten" in err) == (1, True)
        status, _, err = await ucam("restore", str(file), *config, "--overwrite")
        assert (status, "stop ucam web first" in err) == (1, True)
        port = int(web.url.rpartition(":")[2])
    text = web.config_path.read_text()

    config = ("--config", str(new / "web.toml"))
    status, out, err = await ucam("restore", str(file), *config)
    assert (status, err) == (0, "")
    assert "wasn't there: it is the one of the back-up" in out
    assert (new / "web.toml").read_text() == text
    async with running(new, port=port) as web:
        assert (await web.recycle(session)).is_success
        async with web.room(renewed):
            pass
        assert (await web.recycle(renewed)).is_success
        assert (await web.recycle(stolen)).status_code == 401
    days = (new / "data" / "audit").glob("*.jsonl")
    assert any('"token-revoked"' in day.read_text() for day in days)

    status, _, err = await ucam("restore", str(file), *config)
    assert (status, "with --overwrite that is put aside" in err) == (1, True)
    status, _, err = await ucam("restore", str(file), *config, "--overwrite")
    assert (status, err) == (0, "")
    (aside,) = (new / "data").glob("before-restore-*")
    assert {"web.sqlite", "signing-keys.json", "audit"} <= {path.name for path in aside.iterdir()}
    for path in (new / "data").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


async def test_under_another_address_it_says_what_that_means(
    archive: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(packed(archive))
    text = TOML.replace("http://127.0.0.1:{port}", "https://cams.example.com")
    path = write_config(tmp_path, port=free_port(), text=text)
    status, out, _ = await ucam("restore", str(tmp_path / "file"), "--config", str(path))
    assert status == 0
    assert "https://cams.example.com: there every device needs a new token" in out


async def test_many_back_ups_while_sessions_come_and_go(web: Running, tmp_path: Path) -> None:
    """Each is whole, and of one moment."""
    token = web.device_token(TILL)
    ended = asyncio.Event()

    async def recycle() -> None:
        nonlocal token
        while not ended.is_set():
            token = (await web.recycle(token)).json()["token"]

    busy = asyncio.ensure_future(recycle())
    try:
        for number in range(5):
            config, file = web.config(), tmp_path / f"{number}.backup"
            await asyncio.to_thread(back_up, config, web.config_path, file, NOW_S)
    finally:
        ended.set()
        await busy
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = write_config(folder)
        restore(tmp_path / f"{number}.backup", path, overwrite=False, now_s=NOW_S)
        with closing(sqlite3.connect(folder / "data" / "web.sqlite")) as state:
            assert state.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_is_not_in_it_is_listed(tmp_path: Path) -> None:
    text = TOML.replace("[http]", '[http]\ncert = "c.pem"\nkey = "k.pem"').replace(
        "[locations.home]",
        '[alerts]\nwebhooks-file = "hooks"\n[mqtt]\nurl = "mqtt://localhost"\n'
        'password-file = "pw"\n[locations.home]',
    )
    found = {path.name for path in secrets_of(load_config(tmp_path, text=text))}
    assert found == {"c.pem", "k.pem", "hooks", "pw"}


def test_nothing_to_back_up(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    with pytest.raises(Fault, match="has ucam web run"):
        back_up(config, tmp_path / "web.toml", tmp_path / "file", NOW_S)
    assert not (tmp_path / "data").exists()


# What others may have put into the file


@pytest.fixture
async def archive(tmp_path: Path) -> dict[str, bytes]:
    """The entries of a good back-up."""
    folder = tmp_path / "from"
    folder.mkdir()
    config = load_config(folder)
    KeyStore(config.http.data_dir, NOW_S)
    await SqliteState(config.http.data_dir).close()
    log = config.http.data_dir / "audit" / "2026-11-22.jsonl"
    log.parent.mkdir()
    log.write_text("{}\n")
    back_up(config, folder / "web.toml", folder / "file", NOW_S)
    with zipfile.ZipFile(folder / "file") as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(entries: dict[str, bytes], **manifest: object) -> bytes:
    """A back-up of these entries, with a manifest that agrees with them but for `manifest`."""
    listed = msgspec.json.decode(entries[MANIFEST], type=Manifest)
    files = {
        name: Entry(len(data), hashlib.sha256(data).hexdigest())
        for name, data in entries.items()
        if name != MANIFEST
    }
    told = {**msgspec.to_builtins(msgspec.structs.replace(listed, files=files)), **manifest}
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            if name != MANIFEST:
                file.writestr(name, data)
        file.writestr(MANIFEST, json.dumps(told))
    return into.getvalue()


def newer_database(data: bytes) -> bytes:
    """The same with a schema of a version to come: SQLite keeps it at byte 60 of its header."""
    return data[:60] + (99).to_bytes(4) + data[64:]


Change = Callable[[dict[str, bytes]], bytes]
REFUSED: dict[str, tuple[Change, str]] = {
    "a path that leads out": (lambda e: packed({**e, "../evil": b""}), "which no back-up does"),
    "an absolute path": (lambda e: packed({**e, "/etc/cron.d/x": b""}), "which no back-up does"),
    "out of the log": (lambda e: packed({**e, "audit/../x.jsonl": b""}), "which no back-up does"),
    "one that isn't listed": (lambda e: packed(e, files={}), "not those that its manifest lists"),
    "no keys": (
        lambda e: packed({n: d for n, d in e.items() if n != "signing-keys.json"}),
        "the keys or the configuration are missing",
    ),
    "keys that are none": (
        lambda e: packed({**e, "signing-keys.json": b"{}"}),
        "the keys in it can't be read",
    ),
    "a damaged database": (
        lambda e: packed({**e, "web.sqlite": e["web.sqlite"][:5000] + b"x" * 8000}),
        "its database is damaged",
    ),
    "a newer database": (
        lambda e: packed({**e, "web.sqlite": newer_database(e["web.sqlite"])}),
        "its database was written by a newer ucam",
    ),
    "a newer archive": (
        lambda e: packed(e, format=2, ucam="9.0", files=7),
        "made by a newer ucam .9.0.: install that one",
    ),
    "a bomb": (lambda e: packed({**e, "web.toml": bytes(3 << 20)}), "larger than it"),
    "a manifest that is none": (lambda e: packed(e, format="?"), "manifest can't be read"),
    "no archive": (lambda _: b"PK" + b"x" * 1000, "no back-up"),
    "cut off": (lambda e: packed(e)[:-30], "no back-up|cut off"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_touched(
    archive: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    make, told = REFUSED[name]
    folder = tmp_path / "into"
    folder.mkdir()
    path = write_config(folder)
    file = tmp_path / "file"
    file.write_bytes(make(archive))
    with pytest.raises(Fault, match=told):
        restore(file, path, overwrite=True, now_s=NOW_S)
    assert not list(folder.glob("data/*"))
    assert {each.name for each in folder.iterdir()} <= {"web.toml", "data"}


def test_any_flipped_byte_is_found_or_harmless(archive: dict[str, bytes], tmp_path: Path) -> None:
    good = packed(archive)
    file, wanted = tmp_path / "file", archive["signing-keys.json"]
    folder = tmp_path / "into"
    folder.mkdir()
    path = write_config(folder)
    for place in range(0, len(good), len(good) // 60):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x5A]) + good[place + 1 :])
        try:
            restore(file, path, overwrite=True, now_s=NOW_S)
        except Fault:
            continue
        assert (folder / "data" / "signing-keys.json").read_bytes() == wanted
        shutil.rmtree(folder / "data")
