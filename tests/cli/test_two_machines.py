"""From nothing to a camera that records, as people do it: a web machine, a Pi, a cable between."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.network import Pair, machines
from support.site import Process, wait_until
from support.smtp import make_certificate

pytestmark = pytest.mark.interop
URL = f"https://{Pair.ONE}:7443"
CAMERA, STORAGE = "cam001@studio.loc", "storage@studio.loc"

# Logs in with a mail's link, waits in the room until the camera says that storage has its pictures.
VIEWER = """
import asyncio, json, ssl, sys, urllib.request
from websockets.asyncio.client import connect
url, link, camera = sys.argv[1:]
def post(body):
    request = urllib.request.Request(
        url + "/auth", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=60).read())
async def main():
    token = post({"token": link})["token"]
    headers = {"Authorization": "Bearer " + token}
    async with connect(url.replace("http", "ws", 1) + "/ws", additional_headers=headers) as room:
        names = {}
        async for text in room:
            message = json.loads(text)
            for peer in [message, *message.get("roster", ())]:
                if "name" in peer:
                    names[peer["jid"]] = peer["name"]
                status = peer.get("status") or (peer if message["type"] == "Status" else {})
                who = peer.get("jid") or peer.get("from")
                if str(who).startswith(camera) and status.get("recording") == "stored":
                    print(names[who])
                    return
asyncio.run(main())
"""
ASK = """
import json, sys, urllib.request
urllib.request.urlopen(urllib.request.Request(
    sys.argv[1] + "/auth", json.dumps({"email": sys.argv[2]}).encode(),
    {"Content-Type": "application/json"}), timeout=60)
"""


class Machine:
    """One of the two: its files, and a shell."""

    def __init__(self, folder: Path, under: tuple[str, ...], trust: Path) -> None:
        self.folder, self.under = folder, under
        self.env = {"SSL_CERT_FILE": str(trust)}
        folder.mkdir()

    def python(self, *arguments: str) -> str:
        done = subprocess.run(
            ["env", *(f"{k}={v}" for k, v in self.env.items()), *self.under]
            + [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ucam(self, *arguments: str) -> str:
        return self.python("-m", "ucam.cli", *arguments)

    def service(self, name: str) -> Process:
        config = ("--config", str(self.folder / f"{name}.toml"))
        return Process(name, self.folder, name, *config, under=self.under, env=self.env)


def code_in(text: str) -> str:
    match = re.search(rf"ucam enroll {re.escape(URL)} (\S+)", text)
    assert match is not None
    return match[1]


def test_from_nothing_to_a_camera_that_records(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "web.pem", address=Pair.ONE)
    with machines() as pair:
        host = Machine(tmp_path / "host", pair.one.under, certificate)
        pi = Machine(tmp_path / "pi", pair.two.under, certificate)
        began = time.monotonic()
        host.ucam(
            *("init", "--output", str(host.folder), "--email", "owner@studio.loc", "--outbox"),
            *("--public-url", URL, "--location", "Studio", "--cameras", "1", "--web-only"),
            *("--yes",),
        )
        file = host.folder / "web.toml"
        tls = f'listen = "0.0.0.0:7443"\ncert = "{certificate}"\nkey = "{certificate}"'
        file.write_text(re.sub(r"listen = .*", tls, file.read_text()))
        started: list[Process] = []
        try:
            started.append(host.service("web"))
            started[-1].start()
            invite = ("--config", str(file))
            code = code_in(host.ucam("invite", STORAGE, *invite))
            said = host.ucam(
                *("enroll", URL, code, "--output", str(host.folder), "--maxspace", "200MB")
            )
            assert f"This machine is {STORAGE} now." in said
            started.append(host.service("storage"))
            started[-1].start()

            invited = time.monotonic()
            code = code_in(host.ucam("invite", CAMERA, *invite))
            said = pi.ucam(
                *("enroll", URL, code, "--output", str(pi.folder)),
                *("--name", "Front door", "--source", "test"),
            )
            for sentence in (
                f"Asking {URL} whose code this is",
                f"This machine is {CAMERA} now.",
                "Looking at this machine (ucam doctor)",
                "good  camera: gives pictures",
                "good  web: ",
                "good  token: ",
                "Start it with:\n  ",
            ):
                assert sentence in said, said
            # Two cores that eight share: a small picture proves the same.
            file = pi.folder / "capture.toml"
            small = file.read_text().replace("1280", "320").replace("720", "180")
            file.write_text(small.replace("framerate = 30", "framerate = 10"))
            started.append(pi.service("capture"))
            started[-1].start()
            host.python("-c", ASK, URL, "owner@studio.loc")
            outbox = host.folder / "web" / "outbox"
            mail = wait_until("a mail with a link", lambda: list(outbox.glob("*.eml")))[0]
            link = re.search(r"/login#t=(\S+)", mail.read_text())
            assert link is not None
            # From a third place: somebody's browser, anywhere.
            assert host.python("-c", VIEWER, URL, link[1], CAMERA) == "Front door\n"
            done = time.monotonic()
        except BaseException:
            for process in started:
                print(f"--- {process.name}\n{process.tail()}")
            raise
        finally:
            ended = [process.end() for process in reversed(started)]
        assert not any(ended)
        assert list((host.folder / "storage" / "chunks").rglob(f"{CAMERA}/**/*.mp4"))
        host.ucam("fsck", "--config", str(host.folder / "storage.toml"))
    print(
        f"from ucam init to a camera that records: {done - began:.0f} s; "
        f"from its invitation: {done - invited:.0f} s"
    )
