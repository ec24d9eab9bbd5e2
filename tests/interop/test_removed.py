"""A camera that is taken out of the configuration: storage ends it, and takes it in no more."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from support.site import Site, wait_until

pytestmark = pytest.mark.interop
GONE_WITHIN_S = 5.0


def push(site: Site, name: str, token: str) -> subprocess.Popen[bytes]:
    """ffmpeg sends pictures until it is ended."""
    source = "testsrc2=size=320x240:rate=25,format=yuv420p"
    url = f"rtsps://127.0.0.1:{site.rtsps_port}/{name}@shop.loc?token={token}"
    command = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    command += ["-preset", "ultrafast", "-g", "25", "-f", "rtsp", "-rtsp_transport", "tcp", url]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def play(site: Site, name: str, token: str) -> subprocess.Popen[bytes]:
    """ffmpeg plays the live stream until it ends."""
    url = f"rtsps://127.0.0.1:{site.rtsps_port}/{name}@shop.loc?token={token}"
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-f", "null", "-"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def unlisted_token(site: Site, jid: str) -> str:
    """A token that the signing key made and no list of sessions knows."""
    from ucam.base.config import load
    from ucam.base.jid import JID
    from ucam.web.config import WebConfig
    from ucam.web.issuer import Issuer
    from ucam.web.keys import KeyStore

    config = load(site.folder / "web.toml", WebConfig)
    issuer = Issuer(KeyStore(config.http.data_dir, time.time()), config)
    return issuer.first_token(JID.parse(jid), "device", time.time()).token


def test_a_removed_camera_is_ended_and_not_let_in_again(tmp_path: Path) -> None:
    site = Site(tmp_path, {}, publishers=["stays", "goes", "unlisted"])
    with site.running():
        tokens = {
            "stays": site.token("stays@shop.loc"),
            "goes": site.token("goes@shop.loc"),
            "unlisted": unlisted_token(site, "unlisted@shop.loc"),
        }
        pushing = {name: push(site, name, token) for name, token in tokens.items()}
        players: dict[str, subprocess.Popen[bytes]] = {}
        try:
            log = site.storage.log
            for name in tokens:
                wait_until(
                    f"{name} records", lambda n=name: f"{n}@shop.loc: recording" in log.read_text()
                )
            wait_until("the room", lambda: "in the room as" in log.read_text())
            for name in ("stays", "goes"):
                players[name] = play(site, name, tokens[name])
            wait_until("both are played", lambda: log.read_text().count(": plays ") == 2)

            web = site.folder / "web.toml"
            web.write_text(web.read_text().replace(', "goes@shop.loc", "unlisted@shop.loc"', ""))
            began_s = time.monotonic()
            site.web.reload()
            for name in ("goes", "unlisted"):
                pushing[name].wait(timeout=30)
            players["goes"].wait(timeout=30)
            took_s = time.monotonic() - began_s
            text = log.read_text()
            for name in ("goes", "unlisted"):
                assert re.search(rf"{name}@shop.loc: ended: the (camera|token) was", text), text
            assert took_s < GONE_WITHIN_S
            # A new attempt fares no better, and the others don't notice.
            for name in ("goes", "unlisted"):
                assert push(site, name, tokens[name]).wait(timeout=30) != 0
            assert pushing["stays"].poll() is None
            assert players["stays"].poll() is None
        finally:
            for process in (*pushing.values(), *players.values()):
                process.kill()
                process.wait()
