"""Counts the instructions of a program under qemu-user, by QEMU's own plugin `insn`.

Debian ships QEMU without its plugins, so this one is built, once, out of Debian's source package of
the installed qemu-user, which apt loads and verifies.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePath

# What is made once for the benchmarks, and kept.
KEPT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ucam-bench"
PROGRAMS = ("apt-get", "dpkg-query", "gcc", "pkg-config")
APT = Path("/etc/apt")
# The plugin's place up to QEMU 8, and from 9 on.
SOURCES = ("tests/plugin/insn.c", "tests/tcg/plugins/insn.c")
HEADER = "qemu-plugin.h"
TOTAL = "total insns: "


def plugin() -> Path | str:
    """The plugin for this machine's qemu-user; or why there is none."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"The counter needs {', '.join(missing)}, which isn't installed."
    try:
        version = _output("dpkg-query", "-W", "-f", "${source:Version}", "qemu-user")
        path = KEPT / f"insn-{version.replace(':', '_')}.so"
        if not path.exists():
            _make(version, path)
    except subprocess.CalledProcessError as error:
        told = (error.stderr.strip() or "it told nothing").splitlines()[-1]
        return f"QEMU's counter could not be built: {error.cmd[0]}: {told}"
    except OSError as error:
        return f"QEMU's counter could not be built: {error}"
    return path


def options(library: Path, told: Path) -> list[str]:
    """Of qemu: count, and write that into `told` at the end."""
    return ["-plugin", str(library), "-d", "plugin", "-D", str(told)]


def total(told: Path) -> int:
    """What was counted, over all threads; lines about repeated instructions, megabytes of them, are
    passed over. QEMU 7 and 8 have eight counters: of more threads some share one and lose a little
    (0.6 % at most, of a storage with six cameras).
    """
    with told.open() as lines:
        found = [line for line in lines if line.startswith(TOTAL)]
    if len(found) != 1:
        raise ValueError(f"{told}: {len(found)} lines with {TOTAL!r}, not one")
    return int(found[0].removeprefix(TOTAL))


def of_sources(text: str, *, deb822: bool) -> str:
    """A file of apt's sources (sources.list(5)), with source packages instead of binary ones."""
    if deb822:
        return re.sub(r"(?mi)^types:.*$", "Types: deb-src", text)
    lines = [line for line in text.splitlines() if re.match(r"deb\s", line)]
    return "".join(f"deb-src{line.removeprefix('deb')}\n" for line in lines)


def _make(version: str, path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fetch(version, folder)
        archive = next(folder.glob("qemu_*.orig.tar.*"), None)
        if archive is None:
            raise FileNotFoundError("the source package holds no .orig.tar")
        _unpack(archive, folder)
        flags = _output("pkg-config", "--cflags", "glib-2.0").split()
        built = folder / "insn.so"
        command = ["gcc", "-O2", "-shared", "-fPIC", *flags, f"-I{folder}"]
        _output(*command, str(folder / "insn.c"), "-o", str(built))
        KEPT.mkdir(parents=True, exist_ok=True)
        shutil.move(built, path)


def _fetch(version: str, folder: Path) -> None:
    """The source package into `folder`; the system's apt keeps its own lists and sources."""
    sources, lists = folder / "sources", folder / "lists"
    sources.mkdir()
    lists.mkdir()
    parts = APT / "sources.list.d"
    for file in (APT / "sources.list", *parts.glob("*.list"), *parts.glob("*.sources")):
        if file.exists():
            text = of_sources(file.read_text(), deb822=file.suffix == ".sources")
            (sources / file.name).write_text(text)
    if not any(sources.iterdir()):
        raise FileNotFoundError(f"apt has no sources in {APT}")
    settings = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": sources,
        "Dir::State::Lists": lists,
        "Dir::Cache": folder,
        "APT::Sandbox::User": "root",  # another user can't write into this folder
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    _output(*apt, "update")
    _output(*apt, "source", "--download-only", f"qemu={version}", cwd=folder)


def _unpack(archive: Path, folder: Path) -> None:
    """The plugin and its header, side by side."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = PurePath(*PurePath(member.name).parts[1:])
            header = inside.name == HEADER and inside.parts[0] == "include"
            file = tar.extractfile(member) if header or str(inside) in SOURCES else None
            if file is not None:
                (folder / inside.name).write_bytes(file.read())
    if not (folder / "insn.c").exists():
        raise FileNotFoundError(f"{archive.name} holds neither {' nor '.join(SOURCES)}")


def _output(*command: str, cwd: Path | None = None) -> str:
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)
    return result.stdout.strip()
