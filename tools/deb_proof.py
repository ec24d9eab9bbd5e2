"""Prove the installed package, inside the Debian root that it was installed into, as root.

Web, storage and a synthetic camera are set up as docs/install.md says, by `ucam init`, `invite` and
`enroll`, and run: by systemd where it is process 1, else as their units would start them.
What was seen is printed; the first thing that isn't right ends it with status 1.
"""

import os
import platform
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

SITE = "http://127.0.0.1:7070"
PARTS = ("web", "storage", "capture")
READY = {"web": "listening on", "storage": "listening on", "capture": "sending run"}
CONFIG, STATE = Path("/etc/ucam"), Path("/var/lib/ucam")
CHUNKS = STATE / "storage" / "chunks"
WITHIN_S = float(os.environ.get("WITHIN_S", "900"))


class Wrong(Exception):  # noqa: N818
    """What isn't right."""


def say(text: str) -> None:
    """A line of what was seen."""
    print(f"proof: {text}", flush=True)


def tried(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run it; both its outputs are in `stdout`."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def done(*command: str) -> str:
    """Run it; what it printed. Raises `Wrong` when it fails."""
    result = tried(*command)
    if result.returncode:
        raise Wrong(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def until(what: str, is_so: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Wait; raises `Wrong` when it doesn't come true."""
    end = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > end:
            raise Wrong(f"{what}: not within {within_s:.0f} s")
        time.sleep(0.5)


def as_user(part: str, *command: str) -> list[str]:
    """The command as the service's user, without privileges, with the folders its unit gives."""
    user = f"ucam-{part}"
    return [
        *("setpriv", "--reuid", user, "--regid", user, "--init-groups", "--no-new-privs"),
        *("--bounding-set=-all", "--inh-caps=-all", "env", f"HOME={STATE / part}"),
        *(f"XDG_CACHE_HOME=/tmp/cache-{part}", *command),
    ]


class Booted:
    """The services by systemd."""

    enroll = ()

    def start(self, part: str) -> None:
        """Now and at each boot; `systemctl` comes back when it is ready."""
        done("systemctl", "enable", "--now", "--quiet", f"ucam-{part}")

    def stop(self, part: str) -> None:
        """It must end well."""
        done("systemctl", "stop", f"ucam-{part}")
        if (result := self.show(part, "Result")) != "success":
            raise Wrong(f"ucam-{part} ended: {result}")

    def show(self, part: str, what: str) -> str:
        """A property of its unit."""
        return done("systemctl", "show", "-P", what, f"ucam-{part}").strip()

    def is_active(self, part: str) -> bool:
        """Whether it is ready."""
        return tried("systemctl", "--quiet", "is-active", f"ucam-{part}").returncode == 0

    def wait(self, part: str) -> None:
        """Until it is ready again."""
        until(f"ucam-{part} is back", partial(self.is_active, part))

    def signal(self, part: str, name: str) -> None:
        """To its main process."""
        done("systemctl", "kill", "--kill-whom=main", f"--signal={name}", f"ucam-{part}")

    def was_begun_anew(self, part: str) -> bool:
        """Whether systemd has restarted it."""
        return self.show(part, "NRestarts") != "0"

    def was_ended_by_watchdog(self, part: str) -> bool:
        """Whether it was, ever."""
        return "Watchdog timeout" in done("journalctl", "--unit", f"ucam-{part}")

    def log(self) -> str:
        """What the services said last."""
        return tried("journalctl", "--no-pager", "-n60", "-ocat", "-uucam-*").stdout


class Bare:
    """The services as their units would start them."""

    enroll = ("--no-start",)

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, part: str) -> None:
        """It is ready when its log says so."""
        (unit,) = Path("/usr/lib/systemd/system").glob(f"ucam-{part}.service")
        command = re.search(r"^ExecStart=(.+)", unit.read_text(), re.MULTILINE)
        assert command is not None
        log = Path(f"/run/ucam-{part}.log")
        with log.open("wb") as output:
            words = as_user(part, *command[1].split())
            process = subprocess.Popen(words, stdout=output, stderr=output)

        def ready() -> bool:
            if process.poll() is not None:
                raise Wrong(f"ucam-{part} ended with status {process.returncode}")
            return READY[part] in log.read_text()

        until(f"ucam-{part} starts", ready)
        self._running[part] = process

    def stop(self, part: str) -> None:
        """It must end well."""
        self._running[part].terminate()
        if status := self._running[part].wait():
            raise Wrong(f"ucam-{part} ended with status {status}")

    def log(self) -> str:
        """What the services said last."""
        return "".join(path.read_text()[-3000:] for path in Path("/run").glob("ucam-*.log"))


def started(services: Booted | Bare, part: str) -> None:
    """Start it, and say how long that took."""
    began = time.monotonic()
    services.start(part)
    say(f"ucam-{part} ready after {time.monotonic() - began:.0f} s")


def as_installed(services: Booted | Bare) -> None:
    """Users, folders, units: all there, and nothing runs."""
    for part in PARTS:
        if (CONFIG / f"{part}.toml").exists():
            raise Wrong("a configuration is there already")
        folder = STATE / part
        if (folder.owner(), folder.stat().st_mode & 0o777) != (f"ucam-{part}", 0o700):
            raise Wrong(f"{folder} isn't its user's alone")
        if isinstance(services, Booted):
            if services.show(part, "UnitFileState") != "disabled":
                raise Wrong(f"ucam-{part} is enabled")
            if tried("systemctl", "start", f"ucam-{part}").returncode == 0:
                raise Wrong(f"ucam-{part} starts unconfigured")
            judge = ("systemd-analyze", "security", "--no-pager", "--threshold=20")
            say(done(*judge, f"ucam-{part}").splitlines()[-1].lstrip("→ "))
    if tried("udevadm", "verify", "--help").returncode == 0:  # since Debian 13
        for rules in Path("/usr/lib/udev/rules.d").glob("60-ucam.rules"):
            done("udevadm", "verify", "--no-style", str(rules))


def web_and_storage(services: Booted | Bare) -> None:
    """Both start from what `ucam init` wrote, as it is; the page is there."""
    answers = ("--email", "owner@example.com", "--outbox", "--public-url", SITE)
    done("ucam", "init", *answers, "--location", "Studio", "--cameras", "1", "--yes")
    for part in ("web", "storage"):
        done("ucam", "check-config", str(CONFIG / f"{part}.toml"))
        started(services, part)
    page = urllib.request.urlopen(SITE).read().decode()
    script = re.search(r'src="(/[^"]+)"', page)
    if script is None:
        raise Wrong(f"no page, but {page[:200]}")
    size = len(urllib.request.urlopen(SITE + script[1]).read())
    say(f"the page is {len(page)} bytes, its script {size}")


def camera(services: Booted | Bare) -> None:
    """A code, and the machine is a camera whose pictures storage keeps."""
    invitation = done("ucam", "invite", "cam001@studio.loc", "--config", str(CONFIG / "web.toml"))
    code = re.search(rf"ucam enroll {SITE} (\S+)", invitation)
    if code is None:
        raise Wrong(f"no code in {invitation}")
    began = time.monotonic()
    enroll = ("ucam", "enroll", SITE, code[1], "--name", "Front door", "--source", "test")
    said = done(*enroll, *services.enroll)
    say(f"enrolled in {time.monotonic() - began:.0f} s")
    file = CONFIG / "capture.toml"
    done("ucam", "check-config", str(file))
    if isinstance(services, Bare):
        # An emulated processor encodes no more than this.
        text = file.read_text().replace("1280", "320").replace("720", "240")
        file.write_text(text.replace("framerate = 30", "framerate = 10"))
        started(services, "capture")
    elif "It runs." not in said or not services.is_active("capture"):
        raise Wrong(said)
    until("recordings", lambda: recorded() >= 1)
    say(f"recorded: {recorded()} chunks")
    looked = tried(*as_user("capture", "ucam", "doctor"))
    print(looked.stdout, end="", flush=True)
    if looked.returncode:
        raise Wrong("ucam doctor found something BAD")


def recorded() -> int:
    """Closed chunks of some size."""
    return sum(path.stat().st_size > 1000 for path in CHUNKS.rglob("*.mp4"))


def killed_and_hung(services: Booted) -> None:
    """What dies or hangs is begun anew."""
    units = [f"ucam-{part}" for part in PARTS]
    for part in PARTS:
        services.signal(part, "KILL")
        until(f"{part} is begun anew", partial(services.was_begun_anew, part))
        services.wait(part)
        drop_in = Path(f"/run/systemd/system/ucam-{part}.service.d")
        drop_in.mkdir(parents=True)
        (drop_in / "quick.conf").write_text("[Service]\nWatchdogSec=8\n")
    say("killed, each is back")
    done("systemctl", "daemon-reload")
    done("systemctl", "restart", *units)
    for part in PARTS:
        services.signal(part, "STOP")
    for part in PARTS:
        until(f"a watchdog ends {part}", partial(services.was_ended_by_watchdog, part))
        services.wait(part)
    say("stopped, its watchdog ends each, and it is back")
    done("systemctl", "reload", *units)


def updated(services: Booted) -> None:
    """Installed once more: what runs is begun anew."""
    before = {part: services.show(part, "MainPID") for part in PARTS}
    (package,) = Path("/root").glob("ucam_*.deb")
    done("dpkg", "-i", str(package))
    for part in PARTS:
        services.wait(part)
        if services.show(part, "MainPID") == before[part]:
            raise Wrong(f"ucam-{part} is the old one")
    say("installed once more: each was begun anew")


def ended(services: Booted | Bare) -> None:
    """The recordings go on until the end, and are whole."""
    count = recorded()
    until("more recordings", lambda: recorded() > count)
    for part in reversed(PARTS):
        services.stop(part)
    told = done(*as_user("storage", "ucam", "fsck", "--config", str(CONFIG / "storage.toml")))
    say(told.strip().splitlines()[-1])


def main() -> int:
    """The proof; returns the exit status."""
    booted = Path("/run/systemd/system").is_dir()
    services = Booted() if booted else Bare()
    machine = done("dpkg", "--print-architecture").strip()
    init = Path("/proc/1/comm").read_text().strip()
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    say(f"{system} {machine}, {done('ucam', '--version').strip()}, process 1 is {init}")
    try:
        as_installed(services)
        web_and_storage(services)
        camera(services)
        if isinstance(services, Booted):
            killed_and_hung(services)
            updated(services)
        ended(services)
    except Wrong as wrong:
        say(f"WRONG: {wrong}\n{services.log()}")
        return 1
    say("ALL IS WELL")
    return 0


if __name__ == "__main__":
    sys.exit(main())
