"""Debian packages of another release and architecture, fetched without installing."""

import subprocess
from pathlib import Path

from deb_roots import BUILD, KEYRING, sources


def _apt(release: str, arch: str) -> list[str]:
    """apt-get with a state of its own, which knows nothing but that release and architecture."""
    state = BUILD / "apt" / f"{release}-{arch}"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    listed = state / "sources.list"
    listed.write_text(sources(release).replace("deb ", f"deb [signed-by={KEYRING}] ", 1))
    options = {
        "Dir::State": f"{state}/state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": f"{state}/cache",
        "Dir::Etc::sourcelist": str(listed),
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Sandbox::User": "root",
    }
    return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]


def unpack(release: str, arch: str, packages: list[str], target: Path) -> Path:
    """Fetch the packages and unpack them below `target`; a folder that is there already is used."""
    if target.exists():
        return target
    apt = _apt(release, arch)
    part = target.with_name(target.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", *packages], cwd=part, check=True)
    for package in sorted(part.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(part)], check=True)
        package.unlink()
    part.rename(target)
    return target
