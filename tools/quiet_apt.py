"""Run an apt-get that starts nothing of what it installs: `quiet_apt.py SERVICES COMMAND …`.

As root. What maintainer scripts ask before they start something (policy-rc.d(5)) says no meanwhile;
somebody's own answer stays as it is. The services, separated by commas, stay off at boot, too.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")


@contextmanager
def nothing_starts() -> Iterator[None]:
    """While it lasts."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def main() -> int:
    """Returns the command's exit status."""
    services, command = sys.argv[1], sys.argv[2:]
    with nothing_starts():
        status = subprocess.run(command, check=False).returncode
    if not status and Path("/run/systemd/system").is_dir():
        for service in filter(None, services.split(",")):
            subprocess.run(["systemctl", "-q", "disable", service], check=False)
    return status


if __name__ == "__main__":
    sys.exit(main())
