"""An image of ucam web and ucam storage, and its proof: `make container`, `make container-test`.

By podman or docker, whichever is there and works (buildah builds, too, but can't prove). Where no
registry is at hand, `--debootstrap` (as root, with podman) makes the Debian that it is built on.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deb_roots import enter, unpacked
from setup import ROOT, StepFailed, install_packages, step

IMAGE = "ucam"
BASE = "localhost/ucam-debian"
SITE = "http://127.0.0.1:7070"
USER = 10070
WITHIN_S = 120
TRUST = "/etc/ssl/certs/ca-certificates.crt"


def main() -> int:
    """Build, and prove if asked; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test", action="store_true", help="run web and storage in it")
    parser.add_argument("--debootstrap", action="store_true", help="no registry: make the base")
    args, more = parser.parse_known_args()
    try:
        if args.debootstrap:
            install_packages(["podman", "debootstrap", "zstd"])
        tool = find_tool(building_alone=not args.test)
        if args.debootstrap:
            make_base()
            more += ["--build-arg", f"BASE={BASE}"]
        # podman's own format knows no HEALTHCHECK.
        docker_format = [] if tool == "docker" else ["--format", "docker"]
        build = [tool, "build", "--network", "host", *docker_format, "-t", IMAGE, *more]
        step(f"{tool} build", [*build, "-f", "Containerfile", "."])
        if args.test:
            prove(tool)
    except StepFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    return 0


def find_tool(*, building_alone: bool) -> str:
    """The first that is there and answers; raises `StepFailed`."""
    for tool in ("podman", "docker", *(["buildah"] if building_alone else [])):
        if shutil.which(tool) and not _run(tool, "info").returncode:
            return tool
    raise StepFailed("install podman or docker" + (", or buildah" if building_alone else ""))


def make_base() -> None:
    """Debian 13 by debootstrap, with the certificate authorities that this machine trusts."""
    with unpacked("13", "amd64") as root:
        own = Path("/usr/local/share/ca-certificates")
        shutil.copytree(own, root / own.relative_to("/"), dirs_exist_ok=True)
        enter(root, "amd64", "update-ca-certificates")
        for trash in ("var/cache/apt/archives", "etc/resolv.conf", "etc/hosts"):
            path = root / trash
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            pack = ["tar", "-C", str(root), "--numeric-owner", "-cf", archive.name, "."]
            step("packing a Debian", pack)
            trust = [f"--change=ENV {name}={TRUST}" for name in ("PIP_CERT", "NODE_EXTRA_CA_CERTS")]
            step("importing it", ["podman", "import", *trust, archive.name, BASE])


def prove(tool: str) -> None:
    """Both services in containers of their own, set up as docs/install.md says.

    Raises `StepFailed`.
    """
    mark = f"ucam-proof-{os.getpid()}"
    with ExitStack() as undo:
        etc = undo.enter_context(tempfile.TemporaryDirectory())
        os.chmod(etc, 0o777)
        network = "none"  # each has a loopback, and they share one: nothing of this machine's
        options: dict[str, list[str]] = {}
        for part in ("web", "storage"):
            volume = f"{mark}-{part}"
            undo.callback(_run, tool, "volume", "rm", "-f", volume)
            options[part] = ["-v", f"{etc}:/etc/ucam", "-v", f"{volume}:/var/lib/ucam"]

        init = ["init", "--web-only", "--email", "owner@example.com", "--outbox", "--yes"]
        init += ["--public-url", SITE, "--location", "Studio", "--output", "/etc/ucam"]
        done(tool, "run", "--rm", "--network", network, *options["web"], IMAGE, *init)
        web = undo.enter_context(running(tool, f"{mark}-web", network, options["web"], []))
        network = f"container:{web}"
        invite = ["ucam", "invite", "storage@studio.loc", "--config", "/etc/ucam/web.toml"]
        code = re.search(rf"ucam enroll {SITE} (\S+)", done(tool, "exec", web, *invite))
        if code is None:
            raise StepFailed("ucam invite gave no code")
        enroll = ["enroll", SITE, code[1], "--no-start", "--output", "/etc/ucam"]
        done(tool, "run", "--rm", "--network", network, *options["storage"], IMAGE, *enroll)
        command = ["storage", "--config", "/etc/ucam/storage.toml"]
        name = f"{mark}-storage"
        storage = undo.enter_context(running(tool, name, network, options["storage"], command))

        for one in (web, storage):
            who = done(tool, "exec", one, "id", "-u").strip()
            if who != str(USER):
                raise StepFailed(f"{one} runs as {who}")
            done(tool, "kill", "--signal", "STOP", one)
            until(tool, one, healthy=False)
            done(tool, "kill", "--signal", "CONT", one)
            until(tool, one, healthy=True)
            print(f"  {one}: runs as {who}; stopped it is unhealthy, continued healthy", flush=True)
    print("  web and storage run in the image, are healthy, and end well", flush=True)


@contextmanager
def running(
    tool: str, name: str, network: str, options: list[str], command: list[str]
) -> Iterator[str]:
    """A container from when it is healthy; it must end well. Raises `StepFailed`."""
    try:
        done(tool, "run", "-d", "--name", name, "--network", network, *options, IMAGE, *command)
        until(tool, name, healthy=True)
        print(f"  {name}: healthy", flush=True)
        yield name
        done(tool, "stop", name)
        status = done(tool, "inspect", "-f", "{{.State.ExitCode}}", name).strip()
        if status != "0":
            raise StepFailed(f"{name} ended with status {status}\n{done(tool, 'logs', name)}")
    finally:
        _run(tool, "rm", "-f", name)


def until(tool: str, name: str, *, healthy: bool) -> None:
    """Until its HEALTHCHECK says so; raises `StepFailed`."""
    end = time.monotonic() + WITHIN_S
    while is_healthy(tool, name) is not healthy:
        if time.monotonic() > end:
            logs = _run(tool, "logs", name)
            what = "healthy" if healthy else "unhealthy"
            raise StepFailed(f"{name} isn't {what} after {WITHIN_S} s\n{logs.stdout}")
        time.sleep(1)


def is_healthy(tool: str, name: str) -> bool:
    """As the image's HEALTHCHECK finds it. Podman is asked to look now, docker looks by itself."""
    if tool == "podman":
        return _run(tool, "healthcheck", "run", name).returncode == 0
    state = done(tool, "inspect", "-f", "{{.State.Health.Status}}", name)
    return state.strip() == "healthy"


def done(*command: str) -> str:
    """Run it; what it printed. Raises `StepFailed`."""
    result = _run(*command)
    if result.returncode:
        raise StepFailed(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
