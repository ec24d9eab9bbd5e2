"""Instruction counts of a camera's part on a Raspberry Pi 2's instruction set, by qemu-user.

Debian's armhf packages, unpacked and not installed; msgspec compiled for it. Nothing of it is
measured in seconds: what qemu counts is what the processor would execute in user space.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from ucam.capture import gdp
from ucam.capture.pipe import PIPE_BYTES

INSTRUCTIONS = "instructions an access unit, 2 Mbit/s, TLS (armhf)"
SHARE = "estimated share of a Pi 2's core, 30 pictures a second"
PROGRAMS = ("debootstrap", "qemu-arm", "arm-linux-gnueabihf-gcc", "dpkg-deb", "openssl")
PACKAGES = "python3,libpython3.11-dev,python3-cryptography,python3-cffi-backend"
PI2_HZ = 900e6
# Instructions a clock of a Cortex-A7: nobody here has measured it.
IPC = (0.5, 0.6, 0.7)
RATE = 30
# Pictures: until it runs smoothly, and the whole film behind them.
WARM, MORE = 60, 240
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
        film = make_film(folder)
        # Of a picture more: the start, and whatever else comes once, goes out.
        few = _count(folder, film, library, root, extra, WARM)
        values = tuple(
            (_count(folder, film, library, root, extra, WARM + MORE) - few) / MORE
            for _ in range(plan.pick(full=plan.runs, quick=1))
        )
    note = f"goal: {GOAL:,}; counted by qemu-arm -cpu cortex-a7, ChaCha20, user space alone"
    yield Result(INSTRUCTIONS, OURS, "instructions", values, note=note)
    middle = sorted(values)[len(values) // 2]
    shares = tuple(100 * middle * RATE / (PI2_HZ * ipc) for ipc in IPC)
    note = "an estimate: 900 MHz, 0.5 to 0.7 instructions a clock assumed; without the kernel"
    yield Result(SHARE, OURS, "% of a core", shares, note=note)


@dataclass(frozen=True, slots=True)
class Film:
    """Parameter sets as JSON in a file, coded pictures and whether they are keyframes."""

    sets: Path
    units: list[tuple[bytes, bool]]


def make_film(folder: Path) -> Film:
    """8 s of 720p30 at 2 Mbit/s."""
    film = make_clip(folder / "film.mp4", size="1280x720", rate="2M")
    path = folder / "sets.json"
    with av.open(str(film)) as file:
        path.write_text(json.dumps([each.hex() for each in parameter_sets(file)]))
        return Film(path, [(bytes(p), p.is_keyframe) for p in file.demux(video=0) if p.size])


def _count(folder: Path, film: Film, library: Path, root: Path, extra: Path, pictures: int) -> int:
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
            command += [str(root / "usr/bin/python3.11"), "-m", "bench.camera_side"]
            command += [str(film.sets), str(token), f"rtsps://127.0.0.1:{storage.port}"]
            command += [fingerprint[0], str(pictures)]
            film_it(command, {**os.environ, "PYTHONPATH": path}, film, pictures)
            return insn.total(told)
        finally:
            storage.stop()


def film_it(command: list[str], env: dict[str, str], film: Film, pictures: int) -> None:
    """Run `bench.camera_side`, and be its camera once it says that it is there."""
    with subprocess.Popen(
        command, env=env, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            process.stdout.readline()
            began_s = time.monotonic()
            for number in range(pictures):
                time.sleep(max(0.0, began_s + number / RATE - time.monotonic()))
                data, keyframe = film.units[number % len(film.units)]
                packet = gdp.buffer(data, time.monotonic_ns(), delta=not keyframe)
                process.stdin.write(packet)
            if process.wait(300):
                raise SystemExit(f"camera_side ended with {process.returncode}")
        finally:
            process.kill()


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
