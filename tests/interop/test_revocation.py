"""What is revoked at the web application opens nothing at a storage, which verifies by itself."""

import re
import ssl
import subprocess
import sys
from pathlib import Path
from socket import create_connection

import pytest

from support.site import PERSON, Site, wait_until

pytestmark = pytest.mark.interop

CAMERA = "cam@shop.loc"


def describe(site: Site, token: str) -> int:
    """How the storage answers who wants to see a camera (that sends nothing)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = (
        f"DESCRIBE rtsps://127.0.0.1/{CAMERA} RTSP/1.0\r\nCSeq: 1\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    with (
        create_connection(("127.0.0.1", site.rtsps_port), 20) as sock,
        context.wrap_socket(sock) as tls,
    ):
        tls.sendall(request.encode())
        return int(tls.recv(65_536).split()[1])


def ucam(site: Site, *arguments: str) -> str:
    command = [sys.executable, "-m", "ucam.cli", *arguments]
    return subprocess.check_output([*command, "--config", str(site.folder / "web.toml")], text=True)


def login(site: Site) -> str:
    token = site.login_link().partition("#t=")[2]
    return str(site.post("/auth", {"token": token})["token"])


def test_a_token_is_revoked_while_the_storage_runs_and_while_it_does_not(tmp_path: Path) -> None:
    site = Site(tmp_path, {}, publishers=["cam"])
    with site.running():
        player, kept = site.token(PERSON, "--play"), site.token(CAMERA, "--play")
        person = login(site)
        for token in (player, kept, person):
            wait_until(
                "the storage knows the keys", lambda token=token: describe(site, token) == 404
            )
        listed = ucam(site, "tokens", "--people").splitlines()
        (sid,) = [line.split()[0] for line in listed if re.search(rf"{PERSON}\s+player", line)]
        ucam(site, "tokens", "--revoke", sid)
        wait_until("the player is refused", lambda: describe(site, player) == 401)
        assert describe(site, person) == 404
        assert describe(site, kept) == 404
        # Of a storage that was away meanwhile, or starts anew, the same is true.
        site.storage.end()
        (sid,) = [line.split()[0] for line in listed if re.search(rf"{PERSON}\s+user", line)]
        ucam(site, "tokens", "--revoke", sid)
        site.storage.start()
        wait_until("the person is refused", lambda: describe(site, person) == 401)
        assert describe(site, player) == 401
        # And without the web application, by what it has kept on its disk.
        site.storage.end()
        site.web.end()
        site.storage.start()
        assert describe(site, player) == describe(site, person) == 401
        assert describe(site, kept) == 404
        # Keys that were stolen: all that they signed is worthless here, too.
        site.web.start()
        wait_until("the storage is back", lambda: describe(site, kept) == 404)
        ucam(site, "web", "rotate-keys", "--distrust-old")
        wait_until("nothing is believed", lambda: describe(site, kept) == 401)
