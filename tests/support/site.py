"""A whole ucam on loopback: the real programs as processes, configured by the test."""

import contextlib
import email
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from email.policy import default as mail_policy
from pathlib import Path
from typing import Any

PERSON = "owner@shop.loc"
READY_WITHIN_S = 60


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Process:
    """One `ucam` service; ready when it says so by systemd's protocol."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *arguments: str,
        under: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`under`: a command that runs it elsewhere (`ip netns exec NAME`)."""
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = [*under, sys.executable, "-m", "ucam.cli", *arguments]
        self.env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
            self.log.open("ab") as log,
            tempfile.TemporaryDirectory() as place,
        ):
            # A path: abstract names are each network namespace's own.
            address = f"{place}/ready"
            ready.bind(address)
            ready.settimeout(0.2)
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env, "NOTIFY_SOCKET": address},
            )
            deadline = time.monotonic() + READY_WITHIN_S
            while time.monotonic() < deadline:
                assert self._process.poll() is None, f"{self.name} ended:\n{self.tail()}"
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in ready.recv(4096):
                        return
        raise AssertionError(f"{self.name} isn't ready after {READY_WITHIN_S} s:\n{self.tail()}")

    def kill(self) -> None:
        """As a power cut does: no word of warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def reload(self) -> None:
        """As `systemctl reload` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> int:
        """As systemd does: SIGTERM, then wait; returns the exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise AssertionError(f"{self.name} didn't end:\n{self.tail()}") from None
        return self._process.returncode

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Site:
    """web, storage and cameras of one location, `shop`, in one folder."""

    def __init__(
        self,
        folder: Path,
        cameras: dict[str, str],
        titles: dict[str, str] | None = None,
        publishers: Sequence[str] = (),
        certificate: tuple[Path, Path] | None = None,
        host: str = "127.0.0.1",
        cameras_under: Sequence[str] = (),
        web_lines: str = "",
        camera_lines: str = "",
        spool: str = "",
        **storage: str,
    ) -> None:
        """`cameras`: local part → [video] lines; `publishers`: devices that others play;
        `certificate`: with its key, for a storage that answers over HTTPS, too; `host`: where web
        and storage listen; `cameras_under`: a command that runs the cameras; `web_lines`,
        `camera_lines`: further sections of their files; `spool`: lines of [spool]; `storage`: keys
        of [storage].
        """
        self.folder = folder
        self.web_port = free_port()
        self.rtsps_port = free_port()
        self.url = f"http://{host}:{self.web_port}"
        self.recordings = folder / "recordings"
        self.outbox = folder / "outbox"
        devices = ", ".join(f'"{name}@shop.loc"' for name in [*cameras, *publishers])
        self._write(
            "web",
            f"""
            [http]
            listen = "{host}:{self.web_port}"
            public-url = "{self.url}"
            data-dir = "{folder}/web"
            [userauth]
            allowed-emails = ["{PERSON}"]
            [smtp]
            outbox = "{self.outbox}"
            [locations.shop]
            title = "Harbour Street"
            storage = "storage@shop.loc"
            devices = [{devices}]
            {web_lines}
            """,
        )
        keys = "\n".join(f'{key.replace("_", "-")} = "{value}"' for key, value in storage.items())
        self._write(
            "storage",
            f"""
            [device]
            jid = "storage@shop.loc"
            token-file = "{folder}/storage/token"
            [web]
            url = "{self.url}"
            [rtsps]
            listen = "{host}:{self.rtsps_port}"
            {_https(certificate)}
            [storage]
            path = "{self.recordings}"
            {keys}
            """,
        )
        for name, video in cameras.items():
            self._write(
                name,
                f"""
                [device]
                jid = "{name}@shop.loc"
                name = "{(titles or {}).get(name, name)}"
                token-file = "{folder}/{name}/token"
                [web]
                url = "{self.url}"
                [spool]
                path = "{folder}/{name}/spool"
                {spool}
                [video]
                {video}
                {camera_lines}
                """,
            )
        self.web = Process("web", folder, "web", "--config", str(folder / "web.toml"))
        self.storage = Process("storage", folder, "storage", "--config", f"{folder}/storage.toml")
        self.cameras = {
            name: Process(
                *(name, folder, "capture", "--config", str(folder / f"{name}.toml")),
                under=cameras_under,
            )
            for name in cameras
        }

    def _write(self, name: str, text: str) -> None:
        lines = [line.strip() for line in text.strip().splitlines()]
        (self.folder / f"{name}.toml").write_text("\n".join(lines) + "\n")

    @contextlib.contextmanager
    def running(self) -> Iterator["Site"]:
        """Start all; at the end everything has ended cleanly, or the test fails."""
        try:
            self.web.start()
            for name in ("storage", *self.cameras):
                path = self.folder / name / "token"
                path.parent.mkdir(exist_ok=True)
                path.write_text(self.token(f"{name}@shop.loc"))
            self.storage.start()
            for camera in self.cameras.values():
                camera.start()
            yield self
        except BaseException:
            for process in (self.web, self.storage, *self.cameras.values()):
                if process.log.exists():
                    print(f"--- {process.name}\n{process.tail()}")
            raise
        finally:
            programs = (*self.cameras.values(), self.storage, self.web)
            statuses = [(program, program.end()) for program in programs]
        bad = [
            f"{each.name} ended with {status}:\n{each.tail()}"
            for each, status in statuses
            if status
        ]
        assert not bad, "\n".join(bad)

    def token(self, jid: str, *options: str) -> str:
        """A token, by the command that an operator uses."""
        command = [sys.executable, "-m", "ucam.cli", "token", jid, *options]
        config = ["--config", str(self.folder / "web.toml")]
        return subprocess.check_output([*command, *config], text=True).strip()

    def login_link(self) -> str:
        """Ask for a link and read it from the mail."""
        before = set(self.outbox.glob("*.eml"))
        self.post("/auth", {"email": PERSON})
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for mail in set(self.outbox.glob("*.eml")) - before:
                message = email.message_from_bytes(mail.read_bytes(), policy=mail_policy)
                body = message.get_body(("plain",))
                match = body and re.search(r"https?://\S+/login#t=\S+", body.get_content())
                if match:
                    return str(match[0])
            time.sleep(0.05)
        raise AssertionError("no mail with a link")

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            result: dict[str, Any] = json.loads(answer.read() or b"{}")
            return result

    def chunks(self, name: str) -> list[Path]:
        """A camera's closed chunks, oldest first."""
        return sorted(self.recordings.glob(f"shop/{name}@shop.loc/**/*.mp4"))

    def fsck(self) -> subprocess.CompletedProcess[str]:
        """`ucam fsck`, the storage's own check of every invariant."""
        command = [sys.executable, "-m", "ucam.cli", "fsck"]
        return subprocess.run(
            [*command, "--config", f"{self.folder}/storage.toml"],
            capture_output=True,
            text=True,
            check=False,
        )


def _https(certificate: tuple[Path, Path] | None) -> str:
    """What follows a storage's [rtsps] listen."""
    if certificate is None:
        return ""
    cert, key = certificate
    return f'cert = "{cert}"\nkey = "{key}"\n[http]\nlisten = "127.0.0.1:{free_port()}"'


def wait_until(what: str, condition: Any, within_s: float = 30) -> Any:
    """The first true value of `condition()`; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {what}")
