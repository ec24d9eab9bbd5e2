"""Instruction counts of a camera's part on a Raspberry Pi 2's instruction set, by qemu-user.

Debian's armhf packages, unpacked and not installed; msgspec compiled for it. Nothing of it is
measured in seconds: what qemu counts is what the processor would execute in user space.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

import av

import ucam
from bench import insn
from bench.generator import parameter_sets
from bench.insn import KEPT
from bench.result import OURS, Missing, Plan, Result, Row
from bench.storage import make_clip
from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess

INSTRUCTIONS = "instructions an access unit, 2 Mbit/s, TLS (armhf)"
SHARE = "estimated share of a Pi 2's core, 30 pictures a second"
PROGRAMS = ("debootstrap", "qemu-arm", "arm-linux-gnueabihf-gcc", "dpkg-deb", "openssl")
PACKAGES = "python3,libpython3.11-dev,python3-cryptography,python3-cffi-backend"
PI2_HZ = 900e6
# Instructions a clock of a Cortex-A7: nobody here has measured it.
IPC = (0.5, 0.6, 0.7)
WARM, MORE = 30, 150
GOAL = 180_000


def measure(plan: Plan) -> Iterator[Row]:
    """The count, and what it would be of a Pi 2; or why not."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        yield Missing(INSTRUCTIONS, f"It needs {', '.join(missing)}, which isn't installed.")
        return
    if os.geteuid() != 0:
        yield Missing(INSTRUCTIONS, "debootstrap wants root.")
        return
    library = insn.plugin()
    if isinstance(library, str):
        yield Missing(INSTRUCTIONS, library)
        return
    try:
        root, extra = _root()
    except subprocess.CalledProcessError as error:
        what = " ".join(map(str, error.cmd))[:80]
        yield Missing(INSTRUCTIONS, f"The armhf root could not be made: {what} failed.")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_units(folder)
        values = tuple(
            _each(folder, clip, library, root, extra) for _ in range(plan.pick(full=5, quick=1))
        )
    note = f"goal: {GOAL:,}; counted by qemu-arm -cpu cortex-a7, ChaCha20, user space alone"
    yield Result(INSTRUCTIONS, OURS, "instructions", values, note=note)
    middle = sorted(values)[len(values) // 2]
    shares = tuple(100 * middle * 30 / (PI2_HZ * ipc) for ipc in IPC)
    note = "an estimate: 900 MHz, 0.5 to 0.7 instructions a clock assumed; without the kernel"
    yield Result(SHARE, OURS, "% of a core", shares, note=note)


def make_units(folder: Path) -> Path:
    """8 s of 720p30 at 2 Mbit/s as JSON: parameter sets and coded pictures."""
    film = make_clip(folder / "film.mp4", size="1280x720", rate="2M")
    with av.open(str(film)) as file:
        sets = [each.hex() for each in parameter_sets(file)]
        units = [(bytes(p).hex(), p.is_keyframe) for p in file.demux(video=0) if p.size]
    path = folder / "units.json"
    path.write_text(json.dumps({"sets": sets, "units": units}))
    return path


def _each(folder: Path, clip: Path, library: Path, root: Path, extra: Path) -> float:
    """Of a picture more: the start, and whatever else comes once, goes out."""
    few, many = (_count(folder, clip, library, root, extra, n) for n in (WARM, WARM + MORE))
    return (many - few) / MORE


def _count(folder: Path, clip: Path, library: Path, root: Path, extra: Path, pictures: int) -> int:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        home = Path(name)
        storage = StorageProcess(home, Tokens(home))
        storage.start()
        try:
            fingerprint = re.search(r"sha256:[0-9a-f]{64}", storage.log.read_text())
            assert fingerprint is not None
            token = home / "token"
            token.write_text(storage.tokens.issue(CAMERA))
            told = home / "instructions"
            code = Path(ucam.__file__).parent.parent, Path(__file__).parent.parent
            path = os.pathsep.join(map(str, (extra, *code)))
            command = ["qemu-arm", "-cpu", "cortex-a7", "-L", str(root)]
            command += insn.options(library, told)
            program = [str(root / "usr/bin/python3.11"), "-m", "bench.camera_side"]
            url = f"rtsps://127.0.0.1:{storage.port}"
            subprocess.run(
                [*command, *program, str(clip), str(token), url, fingerprint[0], str(pictures)],
                env={**os.environ, "PYTHONPATH": path},
                check=True,
                timeout=300,
            )
            return insn.total(told)
        finally:
            storage.stop()


def _root() -> tuple[Path, Path]:
    """Debian 12's armhf files, and Python packages beside them; made once, then kept."""
    root, extra = KEPT / "armhf", KEPT / "armhf-packages"
    if not (KEPT / "made").exists():
        for begun in (root, extra):
            shutil.rmtree(begun, ignore_errors=True)
        root.mkdir(parents=True)
        _quietly(
            *("debootstrap", "--foreign", "--arch=armhf", "--variant=minbase"),
            *(f"--include={PACKAGES}", "bookworm", str(root)),
        )
        for package in root.glob("var/cache/apt/archives/*.deb"):
            _quietly("dpkg-deb", "-x", str(package), str(root))
        _msgspec(root, extra)
        for name in ("joserfc", "websockets"):
            found = util.find_spec(name)
            assert found is not None
            assert found.origin is not None
            shutil.copytree(Path(found.origin).parent, extra / name)
        (KEPT / "made").touch()
    return root, extra


def _msgspec(root: Path, extra: Path) -> None:
    """Compiled for armhf out of its source: there is no wheel."""
    extra.mkdir()
    version = metadata.version("msgspec")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    _quietly(*pip, "--no-binary", "msgspec", f"msgspec=={version}", "-d", str(KEPT))
    archive = KEPT / f"msgspec-{version}.tar.gz"
    shutil.unpack_archive(archive, KEPT, filter="data")
    source = KEPT / archive.name.removesuffix(".tar.gz") / "src" / "msgspec"
    shutil.copytree(source, extra / "msgspec")
    include = root / "usr/include"
    _quietly(
        *("arm-linux-gnueabihf-gcc", "-O2", "-shared", "-fPIC", f"-I{include}/python3.11"),
        *(f"-I{include}", str(source / "_core.c"), "-o"),
        str(extra / "msgspec" / "_core.cpython-311-arm-linux-gnueabihf.so"),
    )


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
