"""Players that we did not write play what storage serves over HTTPS: ffmpeg, VLC and Chromium."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from playwright.sync_api import sync_playwright

from storage.helpers import Tokens
from storage.process import StorageProcess
from support.probe import frame_count, picture_hashes
from support.site import wait_until
from ucam.base.times import format_utc
from ucam.storage import tls

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
SECONDS = 10
PICTURES = SECONDS * 25
CHROMIUM = "/usr/bin/chromium"
PLAYER_S = 120  # a busy machine is slow; a player that hangs is found all the same


@dataclass(frozen=True)
class Camera:
    """What a device sends: pictures, sound, or both."""

    name: str
    video: bool
    audio: str = ""

    def jid(self, *, live: bool = False) -> str:
        """One device goes on sending, another has sent so many seconds."""
        return f"{self.name}{'-live' if live else ''}@studio.loc"

    def publish(self, url: str, seconds: int) -> subprocess.Popen[bytes]:
        command = ["ffmpeg", "-v", "error"]
        if self.video:
            command += ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25,format=yuv420p"]
        if self.audio:
            command += ["-re", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
        command += ["-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "25"]
        command += ["-bf", "2", *(["-c:a", self.audio] if self.audio else [])]
        command += ["-f", "rtsp", "-rtsp_transport", "tcp", url]
        return subprocess.Popen(command, stderr=subprocess.PIPE)


CAMERAS = [
    Camera("pictures", video=True),
    Camera("both", video=True, audio="aac"),
    Camera("aac", video=False, audio="aac"),
    Camera("opus", video=False, audio="libopus"),
]
each_camera = pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)


class Served:
    """A storage with [http], cameras that send to it, and the addresses of what it gives."""

    def __init__(self, folder: Path) -> None:
        self.tokens = Tokens(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.cert = folder / tls.CERT_NAME
        self.storage = StorageProcess(folder, self.tokens, chunk_size="3s")
        with self.storage.config.open("a") as config:
            config.write(f'\n[http]\nlisten = "127.0.0.1:{port}"\n')
        self._base = f"https://localhost:{port}/cameras"
        self._token = self.tokens.issue("owner@shop.loc", "player")
        self._begin_us = time.time_ns() // 1000
        self.publishers: list[subprocess.Popen[bytes]] = []

    def url(self, camera: Camera, resource: str, *, live: bool = False) -> str:
        query = f"?token={self._token}"
        if not live:
            begin, end = format_utc(self._begin_us), format_utc(time.time_ns() // 1000)
            query += f"&from={begin}&to={end}"
        return f"{self._base}/{camera.jid(live=live)}/{resource}{query}"

    def record(self) -> None:
        """Let all cameras send; returns when those that end have ended."""
        for camera in CAMERAS:
            url = self.storage.url(jid=camera.jid(live=True))
            self.publishers.append(camera.publish(url, 1000))
        ending = [camera.publish(self.storage.url(jid=camera.jid()), SECONDS) for camera in CAMERAS]
        self.publishers += ending
        for publisher in ending:
            _, errors = publisher.communicate(timeout=PLAYER_S)
            assert publisher.returncode == 0, errors
        folders = [self.storage.root / "studio" / camera.jid() for camera in CAMERAS]
        for folder in folders:
            wait_until("all is closed", lambda f=folder: not list(f.rglob("*.part")))

    def stop(self) -> None:
        for publisher in self.publishers:
            publisher.kill()
            publisher.communicate()
        self.storage.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"))
    found.storage.start()
    try:
        found.record()
        yield found
    finally:
        found.stop()


def with_ffmpeg(url: str, out: Path, seconds: int | None = None) -> Path:
    command = ["ffmpeg", "-v", "error", "-y"]
    command += ["-t", str(seconds)] if seconds else []
    subprocess.run([*command, "-i", url, "-c", "copy", str(out)], check=True, timeout=PLAYER_S)
    return out


def with_vlc(url: str, cert: Path, out: Path, seconds: int) -> Path:
    """VLC writes what it plays into a Matroska file. It trusts the storage's certificate, and
    refuses to run as root, so that it needs a folder of its own outside pytest's.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o777)
        (home / "cert.pem").write_bytes(cert.read_bytes())
        command = ["cvlc", "--no-interact", "--gnutls-dir-trust", folder, "--play-and-exit"]
        command += ["--run-time", str(seconds), url, "vlc://quit"]
        command.append(
            f"--sout=#std{{access=file,mux=avformat{{mux=matroska}},dst={folder}/out.mkv}}"
        )
        done = subprocess.run(
            command,
            check=True,
            timeout=PLAYER_S,
            capture_output=True,
            text=True,
            user="nobody" if os.getuid() == 0 else None,
            env={"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )
        assert (home / "out.mkv").exists(), done.stderr
        shutil.copy(home / "out.mkv", out)
    return out


def seconds_of_sound(path: Path) -> float:
    """What can be decoded."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples / frame.sample_rate for frame in frames)


def assert_seconds(camera: Camera, path: Path, seconds: float) -> None:
    """There is so much, or more, of all that the camera sends. Of pictures and sound one begins
    a little later.
    """
    if camera.video:
        assert frame_count(path) >= 25 * (seconds - 0.5)
    if camera.audio:
        assert seconds_of_sound(path) >= seconds - 0.5


@each_camera
@pytest.mark.parametrize("resource", ["live.mp4", "hls.m3u8"])
def test_live(served: Served, tmp_path: Path, camera: Camera, resource: str) -> None:
    url = served.url(camera, resource, live=True)
    assert_seconds(camera, with_ffmpeg(url, tmp_path / "ffmpeg.mkv", 4), 4)
    assert_seconds(camera, with_vlc(url, served.cert, tmp_path / "vlc.mkv", 6), 1.5)


@each_camera
def test_recorded(served: Served, tmp_path: Path, camera: Camera) -> None:
    export = with_ffmpeg(served.url(camera, "export"), tmp_path / "export.mkv")
    assert_seconds(camera, export, SECONDS)
    playlist = with_ffmpeg(served.url(camera, "hls.m3u8"), tmp_path / "hls.mkv")
    assert_seconds(camera, playlist, SECONDS)
    seen = {}
    for resource in ("export", "hls.m3u8"):
        out = tmp_path / f"{resource}.mkv"
        seen[resource] = with_vlc(served.url(camera, resource), served.cert, out, SECONDS + 20)
        # VLC's muxer keeps a few pictures at the end to itself.
        assert_seconds(camera, seen[resource], SECONDS)
    if camera.video:
        hashes = picture_hashes(export)
        assert len(hashes) == PICTURES
        assert picture_hashes(playlist) == hashes
        for path in seen.values():
            # ffmpeg repeats some for VLC's file.
            assert len(set(picture_hashes(path)) & set(hashes)) >= PICTURES - 10


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
    options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            page = browser.new_page(ignore_https_errors=True)
            page.goto(served.url(CAMERAS[1], "timeline"))
            begin, duration, width, pictures = page.evaluate(PLAY, served.url(CAMERAS[1], "export"))
        finally:
            browser.close()
    assert begin == 0
    assert abs(duration - PICTURES / 25) < 0.1
    assert width == 320
    assert pictures >= 10
