"""Debian roots of other releases and architectures, for proofs: made by debootstrap, as root.

Each is kept as a tarball below build/deb/roots, with the Debian packages that were fetched for it,
so that a repetition takes seconds. The mirror is the one of this machine's own apt.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_enter import EMULATORS
from setup import ROOT

BUILD = ROOT / "build" / "deb"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = {"12": "bookworm", "13": "trixie"}
# systemd for the services; what a Raspberry Pi OS has beside: nothing that ucam needs.
INCLUDE = "systemd,systemd-sysv,udev,dbus,iproute2,ca-certificates"


def archives() -> Iterator[tuple[str, str]]:
    """Suite's suffix ("", "-updates", "-security") and address of what apt uses here."""
    form = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    lines = subprocess.check_output(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Component: main"],
        text=True,
    ).splitlines()
    for line in sorted(set(lines)):
        origin, codename, address = line.split()
        if origin == "Debian":
            yield codename.removeprefix(codename.partition("-")[0]), address


def sources(release: str) -> str:
    """A sources.list for a release."""
    address = next(address for suffix, address in archives() if not suffix)
    return f"deb {address} {SUITES[release]} main\n"


def enter(
    root: Path, arch: str, *command: str, log: Path | None = None, alone: bool = False
) -> int:
    """Run a command in the root; its exit status."""
    words = [sys.executable, str(ROOT / "tools" / "deb_enter.py"), "--arch", arch]
    words += ["--alone"] if alone else []
    with (log or Path("/dev/null")).open("ab") as output:
        return subprocess.run(
            [*words, str(root), *command],
            stdin=subprocess.DEVNULL,
            stdout=None if log is None else output,
            stderr=None if log is None else subprocess.STDOUT,
            check=False,
        ).returncode


def tarball(release: str, arch: str) -> Path:
    """The root as a tarball; made when it isn't there: a minute, ten for another machine's."""
    kept = BUILD / "roots" / f"{release}-{arch}.tar.zst"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    work = kept.with_name(f"{release}-{arch}.making")
    shutil.rmtree(work, ignore_errors=True)
    log = kept.with_name(f"{release}-{arch}.log")
    address = next(address for suffix, address in archives() if not suffix)
    command = ["debootstrap", f"--arch={arch}", "--variant=minbase", f"--include={INCLUDE}"]
    command += [f"--keyring={KEYRING}", f"--cache-dir={cache(release, arch)}"]
    command += ["--foreign"] if arch in EMULATORS else []
    with log.open("wb") as output:
        subprocess.run(
            [*command, SUITES[release], str(work), address],
            stdout=output,
            stderr=output,
            check=True,
        )
    if arch in EMULATORS:
        # The first stage has made the devices; in a user namespace debootstrap can't, as in lxc.
        second = ("env", "container=lxc", "/debootstrap/debootstrap", "--second-stage")
        status = enter(work, arch, *second, log=log)
        if status:
            raise SystemExit(f"{work}: debootstrap's second stage failed; see {log}")
    (work / "etc" / "apt" / "sources.list").write_text(sources(release))
    shutil.rmtree(work / "var" / "cache" / "apt" / "archives")
    part = kept.with_suffix(".part")
    subprocess.run(
        ["tar", "--zstd", "--numeric-owner", "-C", str(work), "-cf", str(part), "."], check=True
    )
    shutil.rmtree(work)
    part.rename(kept)
    return kept


def cache(release: str, arch: str) -> Path:
    """Where Debian's packages for such a root are kept."""
    folder = BUILD / "archives" / f"{release}-{arch}"
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def unpacked(release: str, arch: str) -> Iterator[Path]:
    """A fresh root that is removed afterwards."""
    root = BUILD / "work" / f"{release}-{arch}"
    kept = tarball(release, arch)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        subprocess.run(["tar", "--zstd", "-C", str(root), "-xf", str(kept)], check=True)
        archives_there = root / "var" / "cache" / "apt" / "archives"
        (archives_there / "partial").mkdir(parents=True)
        for package in cache(release, arch).glob("*.deb"):
            (archives_there / package.name).hardlink_to(package)
        # What is thrown away afterwards needs no syncs.
        (root / "etc" / "dpkg" / "dpkg.cfg.d" / "unsafe-io").write_text("force-unsafe-io\n")
        for name in ("resolv.conf", "hosts"):
            if (here := Path("/etc") / name).exists():
                (root / "etc" / name).write_text(here.read_text())
        yield root
        for package in archives_there.glob("*.deb"):
            if not (there := cache(release, arch) / package.name).exists():
                shutil.copy2(package, there)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(tarball(*wanted.split("-")))
