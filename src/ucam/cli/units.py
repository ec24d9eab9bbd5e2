"""systemd, as far as a command that sets a service up needs it."""

import os
import subprocess
from pathlib import Path

BOOTED = Path("/run/systemd/system")  # sd_booted(3)
# systemd gives up on a camera without a picture after three minutes (TimeoutStartSec of its unit).
LONGEST_S = 200.0


def command_of(service: str, config: Path) -> str:
    """What a person types to start the service from now on."""
    if has_unit(service):
        root = "" if os.geteuid() == 0 else "sudo "
        return f"{root}systemctl enable --now ucam-{service}"
    return f"ucam {service} --config {config}"


def has_unit(service: str) -> bool:
    """Whether systemd runs here and knows `ucam-SERVICE`."""
    if not BOOTED.is_dir():
        return False
    return _systemctl("cat", f"ucam-{service}.service").returncode == 0


def start(service: str) -> str | None:
    """Start it now and at each boot; what is wrong, None when it runs."""
    done = _systemctl("enable", "--now", f"ucam-{service}.service")
    if done.returncode == 0:
        done = _systemctl("is-active", f"ucam-{service}.service")
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[0] if lines else f"systemctl ended with status {done.returncode}"


def _systemctl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["systemctl", "--no-pager", *arguments],
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess([], 1, "", str(error))
