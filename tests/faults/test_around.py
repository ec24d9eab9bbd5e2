"""What goes wrong around a camera: tokens that end, keys that change, people who are removed,
certificates that are renewed, an encoder that stands still, a web application that is away, no
STUN and no TURN. Recording goes on as if nothing were.

UCAM_FAULTS_TOKENS_S, UCAM_FAULTS_WEB_AWAY_S: how long; rows of times.
"""

import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from faults.counts import count, long
from faults.test_calls import recorded
from support.site import PERSON, Site, wait_until
from support.viewers import call_processes, person_token, viewers
from ucam.protocol.messages import Welcome, decode
from ucam.storage import tls

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
TOKENS_S = count("TOKENS_S", 25)
WEB_AWAY_S = count("WEB_AWAY_S", 5)
DEVICE = "cam1@shop.loc"
RATE = 15
VIDEO = f"""source = "test"
width = 320
height = 240
framerate = {RATE}
bitrate = "300kbit/s"
"""
CLOSED_WITHIN_S = 5.0
TOLD_WITHIN_S = 10.0


def statuses(site: Site, token: str) -> dict[str, dict[str, Any]]:
    """What the room's devices said of themselves last, by their bare JIDs."""
    headers = {"Authorization": f"Bearer {token}", "Origin": site.url}
    url = site.url.replace("http", "ws", 1) + "/ws"
    with connect(url, additional_headers=headers) as socket:
        welcome = decode(str(socket.recv(10)), 4 << 20)
    assert isinstance(welcome, Welcome)
    return {peer.jid.partition("/")[0]: peer.status or {} for peer in welcome.roster}


def storing(site: Site, token: str) -> bool:
    return statuses(site, token).get(DEVICE, {}).get("recording") == "stored"


class Asking:
    """Somebody who asks the web application all the time, and counts what isn't answered."""

    def __init__(self, site: Site, tokens: list[str]) -> None:
        self._url, self._tokens = f"{site.url}/sessions", tokens
        self.asked, self.refused = 0, list[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            token = self._tokens[self.asked % len(self._tokens)]
            self.asked += 1
            request = urllib.request.Request(
                self._url, headers={"Authorization": f"Bearer {token}"}
            )
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answer.read()
            except OSError as error:
                self.refused.append(str(error))


def rotate(site: Site) -> bool:
    command = [sys.executable, "-m", "ucam.cli", "web", "rotate-keys"]
    done = subprocess.run(
        [*command, "--config", str(site.folder / "web.toml")], capture_output=True, check=False
    )
    return done.returncode == 0


@long
def test_tokens_that_end_and_keys_that_change(tmp_path: Path) -> None:
    """A camera's token lives for ten seconds, its storage's too, and keys change meanwhile."""
    site = Site(
        *(tmp_path, {"cam1": VIDEO}),
        chunk_size="5s",
        web_lines='[deviceauth]\ntoken-validity = "10s"',
    )
    with site.running():
        person = person_token(site)
        wait_until("it records", lambda: storing(site, person))
        with Asking(site, [person]) as asking:
            rotations = 0
            began_s = time.monotonic()
            while time.monotonic() - began_s < TOKENS_S:
                time.sleep(TOKENS_S / 5)
                rotations += rotate(site)
        wait_until("it still records", lambda: storing(site, person))
        ended = site.storage.log.read_text().count(f"{DEVICE}: ended")
        renewed = site.cameras["cam1"].log.read_text().count("token renewed")
    print(
        f"{renewed} tokens, {rotations} rotations, {asking.asked} requests; storage ended"
        f" {ended} connections with their tokens"
    )
    assert asking.refused == []
    assert asking.asked > 10
    assert renewed >= TOKENS_S / 10
    assert rotations >= 1
    assert ended >= 1, "no token ended in the midst of a stream"
    assert recorded(site) > RATE * TOKENS_S * 0.8


def test_a_person_who_is_removed_in_the_midst_of_a_call(tmp_path: Path) -> None:
    """Within five seconds of the reload nothing is sent to them any more."""
    site = Site(tmp_path, {"cam1": VIDEO}, chunk_size="5s")
    with site.running():
        camera = site.cameras["cam1"]
        with viewers(site, person_token(site), DEVICE, ["c"]) as watching:
            wait_until("a picture", lambda: watching.all_see(5))
            web = site.folder / "web.toml"
            web.write_text(web.read_text().replace(PERSON, "somebody.else@shop.loc"))
            site.web.reload()
            began_s = time.monotonic()
            wait_until("the call has ended", lambda: not call_processes(camera.pid), 60)
            took_s = time.monotonic() - began_s
        print(f"closed after {took_s:.1f} s")
        assert took_s < CLOSED_WITHIN_S
    assert recorded(site) > 0


def test_a_certificate_that_is_renewed_and_one_that_ends(tmp_path: Path) -> None:
    """Cameras keep their connection; who connects anew finds the new one as it was announced."""
    site = Site(tmp_path, {"cam1": VIDEO}, chunk_size="5s")
    with site.running():
        person = person_token(site)
        wait_until("it records", lambda: storing(site, person))
        folder = site.folder / "storage"
        cert, key = tls.make_certificate("shop.loc", datetime.now(UTC) - timedelta(days=3645))
        (folder / tls.CERT_NAME).write_bytes(cert)
        (folder / tls.KEY_NAME).write_bytes(key)
        site.storage.reload()
        new = tls.fingerprint(folder / tls.CERT_NAME)

        def announced() -> dict[str, Any]:
            return statuses(site, person)["storage@shop.loc"]

        wait_until("it is announced", lambda: announced()["storage"]["fingerprint"] == new)
        wait_until("its end is told", lambda: "renew it" in (announced()["message"] or ""))
        shown = ssl.get_server_certificate(("127.0.0.1", site.rtsps_port), timeout=20)
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest()
        assert f"sha256:{digest}" == new, "who connects now is shown the old one"
        time.sleep(2)
        log = site.storage.log.read_text()
        assert log.count(f"{DEVICE}: recording") == 1, "its connection was dropped"
        site.storage.kill()
        site.storage.start()
        wait_until("it records again", lambda: storing(site, person))
    assert "another certificate" not in site.cameras["cam1"].log.read_text()
    assert recorded(site) > 0


@long
def test_an_encoder_that_stands_still(tmp_path: Path) -> None:
    """The program lives and gives nothing: told in ten seconds, the LED frantic, tried again."""
    fifo, led = tmp_path / "encoder", tmp_path / "act"
    os.mkfifo(fifo)
    led.mkdir()
    for name, value in (("brightness", "0"), ("max_brightness", "1"), ("trigger", "[none] timer")):
        (led / name).write_text(value)
    source = f"gst:filesrc location={fifo} do-timestamp=true ! h264parse"
    video = VIDEO.replace('"test"', f'"{source}"')
    site = Site(tmp_path, {"cam1": video}, chunk_size="5s", camera_lines=f'[led]\nname = "{led}"')
    launch = f"""videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate={RATE}/1
        ! x264enc tune=zerolatency key-int-max={RATE} ! video/x-h264,stream-format=byte-stream
        ! h264parse config-interval=-1 ! filesink location={fifo} buffer-mode=unbuffered"""
    with subprocess.Popen(["gst-launch-1.0", "-q", *launch.split()]) as encoder:
        try:
            with site.running():
                person = person_token(site)
                wait_until("it records", lambda: storing(site, person), 60)
                encoder.send_signal(signal.SIGSTOP)
                began_s = time.monotonic()

                def told() -> bool:
                    status = statuses(site, person)[DEVICE]
                    return status["recording"] == "nothing" and status["message"] is not None

                wait_until("it is told", told, 60)
                told_s = time.monotonic() - began_s
                status = statuses(site, person)[DEVICE]
                print(f"told after {told_s:.1f} s: {status['message']}; LED {status.get('led')}")
                assert status["led"] == "frantic"
                encoder.send_signal(signal.SIGCONT)
                wait_until("it records again", lambda: storing(site, person), 90)
            assert site.fsck().returncode == 0
        finally:
            encoder.kill()
    assert told_s < TOLD_WITHIN_S + 1  # asking the room included


@long
def test_a_web_application_that_is_away(tmp_path: Path) -> None:
    """Recording doesn't notice; camera, storage and people are back by themselves."""
    site = Site(tmp_path, {"cam1": VIDEO}, chunk_size="5s")
    with site.running():
        person = person_token(site)
        wait_until("it records", lambda: storing(site, person))
        with viewers(site, person, DEVICE, ["c"]) as watching:
            wait_until("pictures", lambda: watching.all_see(10))
            site.web.kill()
            before, began_s = len(site.chunks("cam1")), time.monotonic()
            time.sleep(WEB_AWAY_S)
            wait_until("it goes on", lambda: len(site.chunks("cam1")) > before + 1, 60)
            assert call_processes(site.cameras["cam1"].pid), "a call needs the room to begin only"
            site.web.start()
            back_s = time.monotonic()
            devices = {DEVICE, "storage@shop.loc"}
            wait_until("both are back", lambda: devices <= set(statuses(site, person)), 120)
        print(
            f"away for {back_s - began_s:.0f} s, all back after {time.monotonic() - back_s:.1f} s"
        )
        wait_until("it is told so", lambda: storing(site, person))
    assert recorded(site) > RATE * WEB_AWAY_S


def own_address() -> str:
    """This machine's in its network: nobody asks a STUN server on loopback."""
    with socket.socket(type=socket.SOCK_DGRAM) as way:
        try:
            way.connect(("192.0.2.7", 9))  # says nothing yet
        except OSError:
            pytest.skip("this machine is in no network")
        return str(way.getsockname()[0])


@long
def test_neither_stun_nor_turn_answers(tmp_path: Path) -> None:
    """The direct way is found without them, in the time that it takes with them."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("", 0))
        silent.setblocking(False)
        nobody = f"{own_address()}:{silent.getsockname()[1]}"
        lines = f'[ice]\nstun = ["stun:{nobody}"]\nturn = ["turn:{nobody}?transport=udp"]'
        (tmp_path / "secret").write_text("a secret")
        lines += f'\nturn-secret-file = "{tmp_path}/secret"'
        site = Site(tmp_path, {"cam1": VIDEO}, chunk_size="5s", web_lines=lines)
        with site.running():
            person = person_token(site)
            wait_until("it records", lambda: storing(site, person))
            began_s = time.monotonic()
            with viewers(site, person, DEVICE, ["c"]) as watching:
                wait_until("pictures", lambda: watching.all_see(10), 60)
                took_s = time.monotonic() - began_s
        assert silent.recv(2048), "nobody was asked"
    print(f"ten pictures after {took_s:.1f} s")
    assert took_s < TOLD_WITHIN_S + 5  # a viewer's program starts within it
    assert recorded(site) > 0
