"""Prove the Debian packages of dist/: install each into a fresh Debian root and run it there.

`make deb-test`, or some: `python tools/deb_test.py 12-amd64`. As root. On amd64 systemd is process
1 and runs the units; a root of another architecture runs by qemu-user, without systemd.
tools/deb_proof.py is what happens inside. Logs: build/deb/proof.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from deb import DIST, version
from deb_bundle import LEFT_OUT, TARGETS, UNUSED_BY_LITESTAR, Target, bundled
from deb_enter import EMULATORS
from deb_roots import BUILD, enter, unpacked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setup import ROOT, StepFailed, install_packages

TOOLS = ["debootstrap", "qemu-user-static", "zstd"]
# Started by the root's systemd when it has booted; then it is shut down.
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /root/deb_proof.py
ExecStopPost=/bin/systemctl --no-block --force poweroff
StandardOutput=file:/root/proof.log
StandardError=inherit
"""
PARTS = ("web", "storage", "capture", "mqtt")
# Name, version and requirements of each Python package that `ucam` finds.
LIST = """
import sys; sys.path.insert(0, '/usr/lib/ucam')
from importlib.metadata import distributions
seen = set()
for found in distributions():
    if found.name not in seen:
        seen.add(found.name)
        print(found.name, found.version, *(found.requires or []), sep='\\t')
"""


def main() -> int:
    """Prove all that are named, or all; returns the exit status."""
    if os.geteuid():
        print("make deb-test wants to be root: it mounts, and makes device files", file=sys.stderr)
        return 2
    wanted = sys.argv[1:] or [str(target) for target in TARGETS]
    failed = []
    try:
        install_packages(TOOLS)
    except StepFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    for target in [target for target in TARGETS if str(target) in wanted]:
        began = time.monotonic()
        log = BUILD / "proof" / f"{target}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        try:
            prove(target, log)
        except StepFailed as failure:
            failed.append(str(target))
            print(f"{target}: {failure}; see {log}", flush=True)
        print(f"  {target}: {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


def prove(target: Target, log: Path) -> None:
    """Install, run, remove; raises `StepFailed`."""
    package = DIST / f"ucam_{version()}+deb{target.release}u1_{target.arch}.deb"
    if not package.exists():
        raise StepFailed(f"{package.name} isn't there: make deb")
    with unpacked(target.release, target.arch) as root:
        shutil.copy(package, root / "root")
        shutil.copy(ROOT / "tools" / "deb_proof.py", root / "root")
        _inside(root, target, log, "apt-get", "-q", "update")
        install = ("apt-get", "-qy", "install", "--no-install-recommends")
        _inside(root, target, log, *install, f"/root/{package.name}")
        check_versions(root, target)
        if target.arch in EMULATORS:
            _inside(root, target, log, "python3", "/root/deb_proof.py")
        else:
            _boot(root, target, log)
        _say_proofs(log)
        _inside(root, target, log, "apt-get", "-qy", "purge", "ucam")
        for left in ("usr/lib/ucam", "usr/bin/ucam", "etc/ucam/web.toml.sample"):
            if (root / left).exists():
                raise StepFailed(f"{left} is left when the package is purged")
        if not (root / "var/lib/ucam/storage/chunks").exists():
            raise StepFailed("recordings are gone with the package")


def check_versions(root: Path, target: Target) -> None:
    """Every requirement of ucam's and its packages' is met, by the bundle or by Debian.

    Raises `StepFailed`.
    """
    command = [sys.executable, str(ROOT / "tools" / "deb_enter.py"), "--arch", target.arch]
    listed = subprocess.check_output(
        [*command, str(root), "/usr/bin/python3", "-I", "-c", LIST], text=True
    )
    there = {}
    for line in listed.splitlines():
        name, number, *requirements = line.split("\t")
        there[canonicalize_name(name)] = (number, requirements)
    names = set(map(canonicalize_name, {"ucam", *bundled(target)}))
    missing = names - set(there)
    wrong = [f"{name} tells nothing of itself" for name in sorted(missing)]
    for name in sorted(names - missing):
        for text in there[name][1]:
            wanted = Requirement(text)
            if not _is_asked(wanted, target, PARTS if name == "ucam" else ("",)):
                continue
            has = there.get(canonicalize_name(wanted.name))
            if has is None or not wanted.specifier.contains(has[0], prereleases=True):
                wrong.append(f"{name} wants {text}, there is {has and has[0]}")
    if wrong:
        raise StepFailed("; ".join(wrong))
    print(f"  {target}: {len(there)} Python packages; all have what they ask for", flush=True)


def _is_asked(wanted: Requirement, target: Target, extras: tuple[str, ...]) -> bool:
    """Whether it is a requirement there, and not of what was left out on purpose."""
    left_out = {name for arch, name in LEFT_OUT if arch == target.arch} | UNUSED_BY_LITESTAR
    if canonicalize_name(wanted.name) in left_out:
        return False
    environment = {
        "python_version": target.python,
        "python_full_version": f"{target.python}.2",
        "platform_machine": target.machine,
    }
    marker = wanted.marker
    return marker is None or any(marker.evaluate({**environment, "extra": e}) for e in extras)


def _inside(root: Path, target: Target, log: Path, *command: str) -> None:
    began = time.monotonic()
    if enter(root, target.arch, *command, log=log):
        raise StepFailed(f"{' '.join(command)} failed")
    took = time.monotonic() - began
    print(f"  {target}: {' '.join(command[:4])}: {took:.0f} s", flush=True)


def _boot(root: Path, target: Target, log: Path) -> None:
    """systemd as process 1, until the proof has shut it down."""
    units = root / "etc" / "systemd" / "system"
    (units / "proof.service").write_text(UNIT)
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "proof.service").symlink_to("../proof.service")
    command = [sys.executable, str(ROOT / "tools" / "deb_enter.py"), "--boot", "--alone"]
    told = root / "root" / "proof.log"
    with log.open("ab") as output:
        subprocess.run(
            [*command, str(root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=1800,
            check=False,
        )
        text = told.read_text() if told.exists() else "systemd did not come so far\n"
        output.write(text.encode())
    if "proof: ALL IS WELL" not in text:
        raise StepFailed(f"{target}: the proof failed\n{text[-3000:]}")


def _say_proofs(log: Path) -> None:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith(("proof: ", "good  ", "BAD   ", "note  ")):
            print(f"    {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
