"""Players that we did not write play what storage serves over HTTPS: ffmpeg and VLC."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess, push
from support.probe import frame_count, picture_hashes
from support.site import wait_until
from ucam.base.times import format_utc
from ucam.storage import tls

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
PICTURES = 300
CHROMIUM = "/usr/bin/chromium"


class Served:
    """A storage with [http], a camera's recordings in it, and the addresses of them."""

    def __init__(self, folder: Path) -> None:
        tokens = Tokens(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self.storage = StorageProcess(folder, tokens, chunk_size="3s")
        with self.storage.config.open("a") as config:
            config.write(f'\n[http]\nlisten = "127.0.0.1:{port}"\n')
        self._base = f"https://localhost:{port}/cameras/{CAMERA}"
        self._token = tokens.issue("owner@shop.loc", "player")
        self._begin_us = time.time_ns() // 1000

    def url(self, resource: str, *, window: bool = False) -> str:
        query = f"?token={self._token}"
        if window:
            begin, end = format_utc(self._begin_us), format_utc(time.time_ns() // 1000)
            query += f"&from={begin}&to={end}"
        return f"{self._base}/{resource}{query}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"))
    found.storage.start()
    try:
        yield found
    finally:
        found.storage.stop()


def with_ffmpeg(url: str, out: Path, seconds: int | None = None) -> Path:
    command = ["ffmpeg", "-v", "error", "-y"]
    command += ["-t", str(seconds)] if seconds else []
    subprocess.run([*command, "-i", url, "-c", "copy", str(out)], check=True, timeout=60)
    return out


def with_vlc(url: str, cert: Path, out: Path, seconds: int) -> Path:
    """VLC writes what it plays into a transport stream. It trusts the storage's certificate, and
    refuses to run as root, so that it needs a folder of its own outside pytest's.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o777)
        (home / "cert.pem").write_bytes(cert.read_bytes())
        command = ["cvlc", "--no-interact", "--gnutls-dir-trust", folder, "--play-and-exit"]
        command += ["--run-time", str(seconds), url, "vlc://quit"]
        command.append(f"--sout=#std{{access=file,mux=ts,dst={folder}/out.ts}}")
        done = subprocess.run(
            command,
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
            user="nobody" if os.getuid() == 0 else None,
            env={"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )
        assert (home / "out.ts").exists(), done.stderr
        shutil.copy(home / "out.ts", out)
    return out


def closed(served: Served) -> None:
    wait_until("all is closed", lambda: not list(served.storage.root.rglob("*.part")), 10)


def test_live_then_recorded(served: Served, tmp_path: Path) -> None:
    cert = served.folder / tls.CERT_NAME
    publisher = push(served.storage, PICTURES)
    wait_until("a chunk is closed", served.storage.chunks, 20)
    wait_until("the next one is begun", lambda: list(served.storage.root.rglob("*.part")), 5)
    time.sleep(1.5)  # and has its first second
    live = with_ffmpeg(served.url("live.mp4"), tmp_path / "live.mkv", 2)
    assert frame_count(live) >= 50
    played = with_vlc(served.url("live.mp4"), cert, tmp_path / "live.ts", 2)
    assert len(picture_hashes(played)) >= 25
    _, errors = publisher.communicate(timeout=30)
    assert publisher.returncode == 0, errors
    closed(served)
    export = with_ffmpeg(served.url("export", window=True), tmp_path / "export.mkv")
    hashes = picture_hashes(export)
    assert len(hashes) == PICTURES
    playlist = with_ffmpeg(served.url("hls.m3u8", window=True), tmp_path / "hls.mkv")
    assert picture_hashes(playlist) == hashes
    for resource in ("export", "hls.m3u8"):
        url, out = served.url(resource, window=True), tmp_path / f"{resource}.ts"
        seen = picture_hashes(with_vlc(url, cert, out, 30))
        # VLC's muxer keeps a few pictures at the end to itself, and ffmpeg repeats some for it.
        assert len(set(seen) & set(hashes)) >= PICTURES - 10


PLAY = """async (url) => {
  const video = document.createElement('video');
  video.muted = true; video.src = url;
  await new Promise((done, fail) => {
    video.onloadedmetadata = done; video.onerror = () => fail(video.error.message);
  });
  const begin = video.currentTime;
  const seek = (to) => new Promise((done) => { video.onseeked = done; video.currentTime = to; });
  await seek(video.duration - 1);
  await seek(2);
  await video.play();
  await new Promise((done, fail) => {
    video.ontimeupdate = () => { if (video.currentTime > 3) done(); };
    video.onerror = () => fail(video.error.message);
  });
  const seen = video.getVideoPlaybackQuality();
  return [begin, video.duration, video.videoWidth, seen.totalVideoFrames - seen.droppedVideoFrames];
}"""


def test_a_browser_plays_and_seeks_in_an_export(served: Served) -> None:
    if not served.storage.chunks():  # the test above ran elsewhere
        _, errors = push(served.storage, PICTURES).communicate(timeout=30)
        assert not errors
        closed(served)
    options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            page = browser.new_page(ignore_https_errors=True)
            page.goto(served.url("timeline", window=True))
            begin, duration, width, pictures = page.evaluate(
                PLAY, served.url("export", window=True)
            )
        finally:
            browser.close()
    assert begin == 0
    assert abs(duration - PICTURES / 25) < 0.1
    assert width == 320
    assert pictures >= 10
