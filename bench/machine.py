"""The machine that measured, and the versions of what was measured."""

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

# Of each program the arguments that make it tell its version.
PROGRAMS = {
    "ffmpeg": ["-version"],
    "gst-launch-1.0": ["--version"],
    "motion": ["-h"],
    "janus": ["--version"],
    "chromium": ["--version"],
    "mediamtx": ["--version"],
    "go2rtc": ["--version"],
    "redis-server": ["--version"],
    "qemu-arm": ["--version"],
}
PACKAGES = ("aiortc", "av", "uvloop", "uvicorn", "litestar", "msgspec", "websockets")
_VERSION = re.compile(r"(?<![-\w.])\d+\.\d+[\w.+-]*")


@dataclass(frozen=True, slots=True)
class Machine:
    """`versions`: name → version; what isn't installed says so."""

    day: str
    cpu: str
    cores: int
    memory_gb: float
    system: str
    disk: str
    versions: dict[str, str]

    @property
    def slug(self) -> str:
        """The processor as a part of a file's name."""
        words = re.sub(r"\(.*?\)|@.*|\b(cpu|processor|core)\b", " ", self.cpu.lower())
        return "-".join(re.findall(r"[a-z0-9.]+", words)) or "unknown"

    def table(self) -> str:
        """As Markdown."""
        rows = ["| | |", "| --- | --- |"]
        rows += [
            f"| processor | {self.cpu}, {self.cores} cores |",
            f"| memory | {self.memory_gb:.0f} GB |",
            f"| system | {self.system} |",
            f"| disk of the recordings | {self.disk} |",
        ]
        rows += [f"| {name} | {version} |" for name, version in self.versions.items()]
        return "\n".join(rows) + "\n"


def look(folder: Path) -> Machine:
    """This machine; recordings go below `folder`."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Machine(
        datetime.now(UTC).date().isoformat(),
        _cpu(),
        os.cpu_count() or 1,
        memory,
        _system(),
        _disk(folder),
        _versions(),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    release = platform.freedesktop_os_release()
    return f"{release.get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}, {_python()}"


def _python() -> str:
    return f"Python {platform.python_version()}"


def _disk(folder: Path) -> str:
    asked = subprocess.run(
        ["df", "--output=fstype,source", str(folder)], capture_output=True, text=True, check=False
    )
    kind, _, source = asked.stdout.splitlines()[-1].partition(" ")
    return f"{kind} on {source.strip()}"


def _versions() -> dict[str, str]:
    found = {name: _asked(name, arguments) for name, arguments in PROGRAMS.items()}
    found["moonfire-nvr"] = _asked("moonfire-nvr", ["--version"])
    found["gst-rtsp-server"] = _debian("libgstrtspserver-1.0-0")
    for name in PACKAGES:
        found[name] = metadata.version(name)
    return found


def _asked(name: str, arguments: list[str]) -> str:
    if shutil.which(name) is None:
        return "not installed"
    asked = subprocess.run(
        [name, *arguments], capture_output=True, text=True, check=False, timeout=20
    )
    match = _VERSION.search(asked.stdout + asked.stderr)
    return match[0] if match else "installed"


def _debian(package: str) -> str:
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout or "not installed"
