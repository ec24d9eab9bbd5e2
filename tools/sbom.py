"""What ucam is made of, Python packages and the page's, as a CycloneDX 1.5 list."""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def component(kind: str, name: str, version: str) -> dict[str, Any]:
    """One package; `kind` as in a package URL (https://github.com/package-url/purl-spec)."""
    purl = f"pkg:{kind}/{name.replace('@', '%40')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def python_packages(text: str) -> list[dict[str, Any]]:
    """Of a requirements file."""
    return [component("pypi", name.lower(), version) for name, version in _PINNED.findall(text)]


def page_packages(text: str) -> list[dict[str, Any]]:
    """Of a package-lock.json: what the built page holds, not what builds it."""
    packages = json.loads(text)["packages"]
    return [
        component("npm", path.rpartition("node_modules/")[2], entry["version"])
        for path, entry in packages.items()
        if path and not entry.get("dev")
    ]


def document() -> dict[str, Any]:
    """The whole list."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": project["name"],
                "version": project["version"],
            }
        },
        "components": [
            *python_packages((ROOT / "requirements" / "run.txt").read_text()),
            *page_packages((ROOT / "ui" / "package-lock.json").read_text()),
        ],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    print()
