"""A `ucam` command that runs as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class Program:
    """What it says goes to `log`, behind what stands there."""

    def __init__(
        self,
        config: Path,
        log: Path,
        *,
        under: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`under`: a command that runs it, such as strace; `environment`: read at each start."""
        self.config = config
        self.log = log
        self._under = under
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, name: str) -> list[str]:
        """`ucam NAME` with its configuration."""
        return [sys.executable, "-m", "ucam.cli", name, "--config", str(self.config)]

    def begin(self, name: str) -> None:
        """Start it, and wait for nothing."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._under, *self.command(name)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self._environment},
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Started, and neither killed nor stopped since."""
        return self._process is not None

    def ended(self) -> int | None:
        """Its status, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self, within_s: float = 60) -> None:
        """SIGTERM, and it must end by itself, in good order."""
        if self._process is None:
            return
        assert self._process.poll() is None, self.tail()
        self._process.terminate()
        assert self._process.wait(within_s) == 0, self.tail()
        self._process = None

    def tail(self, lines: int = 60) -> str:
        """The last lines of what it said."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
