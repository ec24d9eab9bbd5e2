"""Viewers of a `Site`, as processes: see `gst_viewer`."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.site import Site


class Viewers:
    """`told`: the newest of what the process says of each of its calls."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.told: dict[str, dict[str, Any]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told = json.loads(line)

    def all_see(self, frames: int) -> bool:
        """Whether every call has brought so many pictures."""
        return bool(self.told) and all(call["frames"] >= frames for call in self.told.values())

    def frames(self, call: str) -> int:
        """How many pictures a call has brought."""
        return int(self.told.get(call, {}).get("frames", 0))

    def begin(self, call: str) -> None:
        self._say(f"begin {call}")

    def end(self, call: str) -> None:
        self._say(f"end {call}")

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


def person_token(site: Site) -> str:
    """What a browser has after a login."""
    single_use = site.login_link().partition("#t=")[2]
    return str(site.post("/auth", {"token": single_use})["token"])


@contextlib.contextmanager
def viewers(site: Site, token: str, device: str, calls: list[str], **how: Any) -> Iterator[Viewers]:
    """A process that watches `device` in so many calls; `how`: see `gst_viewer`."""
    with subprocess.Popen(
        [sys.executable, "-m", "support.gst_viewer"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        wanted = {"url": site.url, "token": token, "device": device, "calls": calls, **how}
        process.stdin.write(json.dumps(wanted) + "\n")
        process.stdin.flush()
        try:
            yield Viewers(process)
        finally:
            process.kill()


def call_host(pid: int) -> int:
    """The process that a camera's calls are forked from."""
    (host,) = _children(pid, "ucam-calls")
    return host


def call_processes(pid: int) -> list[int]:
    """The processes of a camera's calls."""
    return [call for host in _children(pid, "ucam-calls") for call in _children(host, "ucam-call")]


def _children(pid: int, name: str) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            for child in (task / "children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == name:
                    found.append(int(child))
    return found
