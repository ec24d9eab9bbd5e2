"""The demo's state: one folder with configuration, tokens, recordings and logs."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ucam.base.service import Fault

CLIPS = Path(__file__).parent
PERSON = "owner@demo.loc"
STORAGE = "storage@demo.loc"


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of the demo: its name's local part, what the page calls it, its source."""

    local: str
    title: str
    source: str

    @property
    def jid(self) -> str:
        """The bare JID."""
        return f"{self.local}@demo.loc"


def cameras() -> list[Camera]:
    """The three clips, and this machine's own camera where there is one."""
    found = [
        Camera("front-door", "Front door", f"file:{CLIPS / 'front-door.mp4'}"),
        Camera("yard", "Yard", f"file:{CLIPS / 'yard.mp4'}"),
        Camera("till", "Till", f"file:{CLIPS / 'till.mp4'}"),
    ]
    if Path("/dev/video0").exists():
        found.append(Camera("video0", "This machine", "v4l2:/dev/video0"))
    return found


def free_port(preferred: int) -> int:
    """`preferred` on 127.0.0.1 if nobody listens there, another one otherwise.

    Raises `Fault`.
    """
    for port in (preferred, 0):
        with socket.socket() as sock:
            # As the servers do: what a former run left in TIME_WAIT doesn't count as taken.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise Fault("no port of 127.0.0.1 is free")


@dataclass(frozen=True, slots=True)
class State:
    """Where everything lies, and the ports of this run."""

    folder: Path
    web_port: int
    storage_port: int

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def outbox(self) -> Path:
        """The folder in which mails end up."""
        return self.folder / "outbox"

    def config(self, name: str) -> Path:
        """The configuration file of a service (or of a camera, by its local part)."""
        return self.folder / f"{name}.toml"

    def token(self, local: str) -> Path:
        """A device's token file."""
        return self.folder / local / "token"

    def log(self, name: str) -> Path:
        """A service's log."""
        return self.folder / "log" / f"{name}.log"

    @contextmanager
    def ours_alone(self) -> Iterator[int]:
        """Make the folder and hold its lock; raises `Fault`.

        Gives the lock's descriptor: a service that inherits it holds the folder too, so that
        what a killed demo left running isn't overlooked.
        """
        try:
            # For its owner only: mails, tokens and the web's log let people in.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Fault(f"the folder {self.folder} can't be used: {error.strerror}") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Fault(
                    f"a demo runs already in {self.folder}: end it first, or take --state FOLDER"
                ) from None
            yield descriptor
        finally:
            os.close(descriptor)

    def write_configs(self, found: list[Camera]) -> None:
        """Write every configuration file anew; nothing else in the folder is touched.

        Raises `Fault`.
        """
        try:
            self._write_configs(found)
        except OSError as error:
            raise Fault(f"{error.filename} can't be written: {error.strerror}") from None

    def _write_configs(self, found: list[Camera]) -> None:
        self.log("web").parent.mkdir(exist_ok=True)
        devices = ", ".join(f'"{camera.jid}"' for camera in found)
        self.config("web").write_text(
            f"""[http]
listen = "127.0.0.1:{self.web_port}"
public-url = "{self.url}"
data-dir = "{self.folder / "web"}"
[userauth]
allowed-emails = ["{PERSON}"]
[smtp]
outbox = "{self.outbox}"
[locations.demo]
title = "Demo"
storage = "{STORAGE}"
devices = [{devices}]
"""
        )
        self.config("storage").write_text(
            f"""[device]
jid = "{STORAGE}"
token-file = "{self.token("storage")}"
[web]
url = "{self.url}"
[rtsps]
listen = "127.0.0.1:{self.storage_port}"
[storage]
path = "{self.folder / "recordings"}"
maxspace = "2GB"
"""
        )
        for camera in found:
            self.config(camera.local).write_text(
                f"""[device]
jid = "{camera.jid}"
name = "{camera.title}"
token-file = "{self.token(camera.local)}"
[web]
url = "{self.url}"
[video]
source = "{camera.source}"
width = 960
height = 540
framerate = 15
bitrate = "1Mbit/s"
[spool]
path = "{self.folder / camera.local / "spool"}"
"""
            )
