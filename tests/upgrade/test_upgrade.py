"""What each release has left on disk is taken over by this one, and a newer one's is refused.

`state/VERSION` was made by `upgrade.make` with that release.
"""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from support.site import Site, wait_until
from ucam.base.tokens import Verifier, read_keys
from ucam.capture.spool.record import VERSION as SPOOL_VERSION
from ucam.storage.database import Database
from ucam.storage.layout import INDEX, Place
from ucam.storage.records import Chunk
from ucam.storage.schema import SCHEMA_VERSION
from ucam.web import state_sqlite
from upgrade.make import VIDEO

pytestmark = pytest.mark.interop
RELEASES = sorted((Path(__file__).parent / "state").iterdir())
CAMERA = Place("shop", "cam1@shop.loc")


def taken_over(release: Path, folder: Path) -> Site:
    """A release's files, on ports of today."""
    site = Site(folder, {"cam1": VIDEO})
    site.recordings.mkdir()
    shutil.copytree(release, folder, dirs_exist_ok=True)
    for path in folder.glob("*.toml"):
        text = re.sub(r"http://127\.0\.0\.1:\d+", site.url, path.read_text())
        port = site.web_port if path.stem == "web" else site.rtsps_port
        path.write_text(
            re.sub(r'listen = "127\.0\.0\.1:\d+"', f'listen = "127.0.0.1:{port}"', text)
        )
    return site


def chunks(site: Site) -> list[Chunk]:
    with closing(Database(site.recordings / INDEX)) as index:
        return [chunk for chunk in index.all_chunks() if chunk.place == CAMERA]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.mp4")
    }


def version(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_everything_goes_on(release: Path, tmp_path: Path) -> None:
    """Keys, known devices, recordings with their seals; and the spool is delivered behind them."""
    site = taken_over(release, tmp_path)
    files, before = digests(site.recordings), chunks(site)
    run, last = before[-1].run, before[-1].last_number
    with site.running():
        with urllib.request.urlopen(f"{site.url}/.well-known/jwks.json", timeout=20) as answer:
            keys = answer.read()
        old = (release / "cam1" / "token").read_text().strip()
        issuer = re.search(r'public-url = "([^"]+)"', (release / "web.toml").read_text())
        assert issuer is not None
        claims = Verifier(issuer[1], lambda: read_keys(keys)).verify(old, made_s(release))
        assert claims.sub == CAMERA.jid
        # What was spooled is delivered behind what was there: no picture is missing between.
        wait_until(
            "the spool is delivered",
            lambda: not list((site.folder / "cam1" / "spool").rglob("*.seg")),
            within_s=90,
        )
        assert ("cam2@shop.loc", "Yard") in known_devices(site.folder / "web" / "web.sqlite")
        assert site.post("/auth", {"token": site.login_link().partition("#t=")[2]})["token"]
    after = chunks(site)
    spooled = [chunk for chunk in after if chunk.run == run and chunk not in before]
    assert spooled, "nothing of the old spool has come"
    expected = last + 1
    for chunk in spooled:
        assert chunk.first_number == expected
        expected = chunk.last_number + 1
    assert any(chunk.run != run for chunk in after), "the camera records nothing new"
    assert digests(site.recordings).items() >= files.items()
    for command in ("fsck", "verify"):
        done = ucam(command, "--config", f"{site.folder}/storage.toml")
        assert done.returncode == 0, done.stdout + done.stderr
    assert version(site.recordings / INDEX) == SCHEMA_VERSION
    assert version(site.folder / "web" / "web.sqlite") == state_sqlite.VERSION


def made_s(release: Path) -> float:
    """When the fixture was made: its tokens lived then."""
    (day,) = (release / "web" / "audit").glob("*.jsonl")
    when = json.loads(day.read_text().splitlines()[-1])["time"]
    return datetime.fromisoformat(when).timestamp()


def known_devices(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as state:
        rows = state.execute("SELECT key, value FROM records WHERE shelf = 'devices'").fetchall()
    return [(key, json.loads(value)["name"]) for key, value in rows]


def ucam(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ucam.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("part", ["storage", "web"])
def test_what_a_newer_one_wrote_is_refused_and_left_as_it_is(tmp_path: Path, part: str) -> None:
    site = taken_over(RELEASES[-1], tmp_path)
    path = site.recordings / INDEX if part == "storage" else tmp_path / "web" / "web.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    done = ucam(part, "--config", str(tmp_path / f"{part}.toml"))
    assert done.returncode == 1
    assert "written by a newer ucam" in done.stderr
    assert "install that one again" in done.stderr
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_the_newest_release_is_among_them() -> None:
    """Whoever raises a version makes a new state with it: `python -m upgrade.make`."""
    release = RELEASES[-1]
    assert version(release / "recordings" / INDEX) == SCHEMA_VERSION
    assert version(release / "web" / "web.sqlite") == state_sqlite.VERSION
    segment = next(release.rglob("*.seg")).read_bytes()
    assert segment[7] == SPOOL_VERSION
