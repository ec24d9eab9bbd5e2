"""Make what a release leaves on disk, for `test_upgrade`: run once with each release whose formats
differ, `PYTHONPATH=tests python -m upgrade.make FOLDER`, and keep the folder under `state/`.

The programs of one location run for some seconds; then storage ends before its camera, so that the
camera's spool holds what was never delivered.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from support.site import Site, wait_until

VIDEO = 'source = "test"\nwidth = 160\nheight = 96\nframerate = 5\nbitrate = "50kbit/s"'
CHUNKS = 2
# Of no use to anybody, and no reader of a newer release needs them.
LEFT_OUT = ("*.log", "outbox", "lock")


def main(target: Path) -> None:
    """Fill `target`, which must not be there."""
    with tempfile.TemporaryDirectory() as folder:
        titles = {"cam1": "Front door", "cam2": "Yard"}
        site = Site(Path(folder), dict.fromkeys(titles, VIDEO), titles=titles, chunk_size="2s")
        with site.running():
            for name in titles:
                wait_until("its chunks are closed", lambda: len(site.chunks(name)) >= CHUNKS)  # noqa: B023
            site.post("/auth", {"token": site.login_link().partition("#t=")[2]})
            site.storage.end()
            spool = site.folder / "cam1" / "spool"
            wait_until("pictures are spooled", lambda: _size(spool) > 20_000)
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for path in target.glob("*.toml"):
            path.write_text(path.read_text().replace(f"{folder}/", ""))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.seg"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
