"""Resolve the Python packages anew into requirements/: pinned, with hashes, without addresses."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = [
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-find-links",
    "--no-emit-options",
    "--no-header",
    "--no-annotate",
    "--quiet",
]
HEADER = "# Made by `make lock` from pyproject.toml; not edited by hand.\n"


def lock(name: str, extra: list[str]) -> None:
    """Write requirements/NAME.txt: all of ucam's parts and `extra` requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *parts["web"],
        *parts["storage"],
        *parts["capture"],
        *parts["mqtt"],
        *project["build-system"]["requires"],
        project["tool"]["hatch"]["build"]["hooks"]["custom"]["node"],
        "editables",
        *extra,
    ]
    source = ROOT / "requirements" / f"{name}.in"
    source.write_text(HEADER + "\n".join(sorted(set(wanted))) + "\n")
    target = source.with_suffix(".txt")
    command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, "-o", str(target)]
    subprocess.run([*command, str(source)], check=True, cwd=ROOT)
    source.unlink()
    target.write_text(HEADER + target.read_text())


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock("run", [])
    docs = project["project"]["optional-dependencies"]["docs"]
    lock("dev", [*project["dependency-groups"]["dev"], *docs])
