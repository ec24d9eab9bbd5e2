"""Build ucam's Debian packages into dist/: `make deb`, or some: `python tools/deb.py 12-amd64`.

The wheel that dist/ holds, what it needs beside Debian (`deb_bundle`), and packaging/ are put
together in build/deb/stage and built by debhelper; nothing depends on this machine's own release.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from email.parser import HeaderParser
from email.utils import formatdate
from pathlib import Path

from deb_bundle import COMPILED, TARGETS, Target, depends, gather, libraries, unzip
from deb_roots import BUILD, SUITES
from setup import PYTHON, ROOT, StepFailed, install_packages, step

PACKAGING = ROOT / "packaging"
DIST = ROOT / "dist"
TOOLS = ["dpkg-dev", "debhelper", "lintian", "fakeroot"]
# Since Debian 13 packages put nothing into /lib any more, where Debian 12's tools look.
PLACES = {
    "12": ("lib/systemd/system", "lib/udev/rules.d"),
    "13": ("usr/lib/systemd/system", "usr/lib/udev/rules.d"),
}
COPYRIGHT = """\
Copyright 2026 The ucam authors

ucam is under the Apache License 2.0; see
/usr/share/common-licenses/Apache-2.0.

The Python packages that Debian has not, or has too old, lie beside it in
/usr/lib/ucam, each as its authors published it, with the texts of its licences
in its folder *.dist-info there:

"""


def main() -> int:
    """Build all that are named, or all; returns the exit status."""
    names = sys.argv[1:]
    unknown = set(names) - {str(target) for target in TARGETS}
    if unknown:
        print(f"there is no {', '.join(sorted(unknown))}; there are", *TARGETS, file=sys.stderr)
        return 2
    targets = [target for target in TARGETS if not names or str(target) in names]
    tools = {f"binutils-{target.triplet.replace('_', '-')}" for target in targets}
    compiled = {arch for arch, _ in COMPILED}
    tools |= {f"gcc-{target.triplet}" for target in targets if target.arch in compiled}
    try:
        install_packages([*TOOLS, *sorted(tools)])
        wheel = build_wheel()
        for target in targets:
            began = time.monotonic()
            package = build(target, wheel)
            took = f"{time.monotonic() - began:.0f} s, {package.stat().st_size / 1e6:.1f} MB"
            print(f"  {package.relative_to(ROOT)}: {took}", flush=True)
            step(f"lintian {target}", lintian(package))
    except StepFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    return 0


def build_wheel() -> Path:
    """ucam itself with the page, as `pip` would install it."""
    step("building the wheel", [str(PYTHON), "-m", "hatchling", "build", "-t", "wheel"])
    return DIST / f"ucam-{version()}-py3-none-any.whl"


def lintian(package: Path) -> list[str]:
    """The command that judges a package; errors and warnings fail."""
    return ["lintian", "--allow-root", "--fail-on=error,warning", str(package)]


def version() -> str:
    """ucam's."""
    text = (ROOT / "src" / "ucam" / "__init__.py").read_text()
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def build(target: Target, wheel: Path) -> Path:
    """One package; the path of it in dist/."""
    stage = BUILD / "stage" / str(target)
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(PACKAGING, stage)
    shutil.copytree(ROOT / "config", stage / "config")
    library = stage / "lib"
    gather(target, library)
    unzip(wheel, library)
    _write_texts(stage, library, target)
    next_python = target.python.replace(minor := target.python[2:], str(int(minor) + 1))
    wants = [f"python3 (>= {target.python}~)", f"python3 (<< {next_python}~)"]
    wants += [*libraries(library, target), *depends(target)]
    units, rules = PLACES[target.release]
    environment = {
        **os.environ,
        "DEPENDS": ", ".join(wants),
        "UNITS": units,
        "RULES": rules,
        "SOURCE_DATE_EPOCH": str(_date()),
        "DEB_BUILD_OPTIONS": "nocheck nostrip noautodbgsym",
    }
    log = stage.with_suffix(".log")
    command = ["dpkg-buildpackage", "-b", "-us", "-uc", "-d", f"-a{target.arch}"]
    with log.open("wb") as output:
        status = subprocess.run(
            command, cwd=stage, env=environment, stdout=output, stderr=output, check=False
        ).returncode
    if status:
        raise StepFailed(f"{target}: {log.read_text()[-4000:]}")
    name = f"ucam_{version()}+deb{target.release}u1_{target.arch}.deb"
    DIST.mkdir(exist_ok=True)
    shutil.move(stage.parent / name, DIST / name)
    shutil.rmtree(stage)
    return DIST / name


def _date() -> int:
    """Of the last commit, so that the same sources give the same package."""
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    told = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return int(told or os.environ.get("SOURCE_DATE_EPOCH", "") or time.time())


def _write_texts(stage: Path, library: Path, target: Target) -> None:
    """What debhelper wants to read: the changelog, the licences, the manual page."""
    debian = stage / "debian"
    (debian / "changelog").write_text(
        f"ucam ({version()}+deb{target.release}u1) {SUITES[target.release]}; urgency=medium\n\n"
        f"  * ucam {version()} for Debian {target.release}.\n\n"
        f" -- The ucam authors <ucam@debian.invalid>  {formatdate(_date())}\n"
    )
    lines = []
    for path in sorted(library.glob("*.dist-info/METADATA")):
        about = HeaderParser().parsestr(path.read_text())
        licence = about["License-Expression"] or about["License"] or ""
        if not licence or "\n" in licence:
            licence = "see its folder"
        lines.append(f"  {about['Name']} {about['Version']}: {licence}\n")
    (debian / "copyright").write_text(COPYRIGHT + "".join(lines))
    page = subprocess.check_output(
        [sys.executable, "-c", MANUAL_OF], env={**os.environ, "PYTHONPATH": str(library)}, text=True
    )
    (debian / "ucam.1").write_text(page)
    (debian / "ucam.manpages").write_text("debian/ucam.1\n")


MANUAL_OF = r"""
from ucam import __version__
from ucam.cli import COMMANDS
print(f'.TH UCAM 1 "" "ucam {__version__}" "User Commands"')
print(".SH NAME\nucam \\- cameras whose video is yours")
print(".SH SYNOPSIS\n.B ucam\n.I COMMAND\n[options]\n.SH COMMANDS")
for name, text in COMMANDS.items():
    print(f".TP\n.B {name}\n{text}".replace("-", "\\-"))
print(".PP\n.B ucam\n.I COMMAND\n.B \\-\\-help\ntells a command's options.")
print(".SH FILES\n.TP\n.I /etc/ucam\nConfiguration; each service reads web.toml, storage.toml or")
print("capture.toml there. Samples lie beside.")
print(".TP\n.I /var/lib/ucam\nKeys, tokens and recordings, a folder for each service.")
print(".SH EXIT STATUS\n0 success, 1 a fault that is told, 2 wrong usage.")
"""

if __name__ == "__main__":
    sys.exit(main())
