"""`ucam doctor` against a running web application and storage."""

import subprocess
import sys
import time
from pathlib import Path

from device.helpers import unsigned_token
from support.site import Site, wait_until

VIDEO = """source = "test"
width = 320
height = 180
framerate = 15"""


def doctor(site: Site, name: str = "cam1") -> tuple[int, dict[str, str]]:
    """Exit status, and each finding's line by what was checked."""
    done = subprocess.run(
        [sys.executable, "-m", "ucam.cli", "doctor", "--config", f"{site.folder}/{name}.toml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, {line[6:].partition(":")[0]: line for line in done.stdout.splitlines()}


def test_all_is_well_and_then_one_thing_after_the_other_is_not(tmp_path: Path) -> None:
    site = Site(tmp_path, {"cam1": VIDEO})
    token = tmp_path / "cam1" / "token"
    with site.running():
        wait_until("the storage is known", (token.parent / "token.storage.json").exists)
        wait_until("something is stored", lambda: list(site.recordings.rglob("*.part")))
        status, found = doctor(site)
        assert status == 0, found
        for what in ("elements", "camera", "encoder", "clock", "spool", "web", "token", "storage"):
            assert found[what].startswith("good"), found[what]
        assert "signed by the web application" in found["token"]
        assert "accepts the token, has pictures until 20" in found["storage"]

        site.storage.end()
        status, found = doctor(site)
        assert status == 1
        assert found["storage"].startswith("BAD ")
        assert "nothing listens there; does it run?" in found["storage"]
        assert found["web"].startswith("good")
        site.storage.start()

        kept = token.read_text()
        token.write_text(site.token("storage@shop.loc"))
        status, found = doctor(site)
        assert (status, found["token"][:4]) == (1, "BAD ")
        assert "it is the token of storage@shop.loc" in found["token"]
        token.write_text(forged(kept))
        status, found = doctor(site)
        assert (status, found["token"][:4]) == (1, "BAD ")
        assert "ucam token JID" in found["token"]
        token.write_text(kept)

        settings = tmp_path / "cam1.toml"
        text = settings.read_text()
        settings.write_text(text.replace(site.url, "https://no-such-host.invalid:1"))
        status, found = doctor(site)
        assert status == 1
        assert "does this network's name server work" in found["name"]
        assert found["web"].startswith("BAD ")
        wrong = f'[storage]\nurl = "rtsps://127.0.0.1:{site.rtsps_port}"\n'
        settings.write_text(f'{text}{wrong}fingerprint = "sha256:{"0" * 64}"\n')
        status, found = doctor(site)
        assert "shows another certificate than expected" in found["storage"]
        settings.write_text(text)


def forged(token: str) -> str:
    """The same claims, signed by nobody."""
    head, claims, signature = token.strip().split(".")
    return f"{head}.{claims}.{'A' * len(signature)}"


def test_a_token_that_has_ended(tmp_path: Path) -> None:
    site = Site(tmp_path, {"cam1": VIDEO})
    (tmp_path / "cam1").mkdir()
    (tmp_path / "cam1" / "token").write_text(unsigned_token(0, time.time() - 5, "cam1@shop.loc"))
    status, found = doctor(site)
    assert status == 1
    assert "it ended at 20" in found["token"]
