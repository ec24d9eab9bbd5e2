"""Install dist/'s wheel and source archive into fresh environments: `make dist-test`.

From each, web and storage start in a folder where no source of ucam lies, and serve the page.
Python's packages come from where pip takes them here.
"""

import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from setup import ROOT, StepFailed, step

SITE = "http://127.0.0.1:17070"
READY_WITHIN_S = 120


def main() -> int:
    """Prove both; returns the exit status."""
    archives = [*sorted(ROOT.glob("dist/ucam-*.whl")), *sorted(ROOT.glob("dist/ucam-*.tar.gz"))]
    if len(archives) < 2:
        print("dist/ has no wheel and source archive: make dist", file=sys.stderr)
        return 1
    try:
        for archive in archives:
            with tempfile.TemporaryDirectory() as folder:
                prove(archive, Path(folder))
    except StepFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    return 0


def prove(archive: Path, folder: Path) -> None:
    """Install and run; raises `StepFailed`."""
    python = folder / "venv" / "bin" / "python"
    ucam = str(python.with_name("ucam"))
    step(
        f"{archive.name}: an environment", ["/usr/bin/python3", "-m", "venv", str(folder / "venv")]
    )
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    step(f"{archive.name}: pip install", [*pip, "install", f"{archive}[web,storage]"])
    step(f"{archive.name}: pip check", [*pip, "check"])
    answers = ["--email", "owner@example.com", "--outbox", "--public-url", SITE]
    init = [ucam, "init", *answers, "--yes", "--output", str(folder)]
    step(f"{archive.name}: ucam init", init)
    storage = folder / "storage.toml"
    storage.write_text(storage.read_text().replace("0.0.0.0:8322", "127.0.0.1:18322"))
    with ExitStack() as running:
        for part in ("web", "storage"):
            running.enter_context(service(ucam, part, folder))
        page = urllib.request.urlopen(SITE).read().decode()
        script = re.search(r'src="(/[^"]+)"', page)
        if script is None:
            raise StepFailed(f"{archive.name}: no page, but {page[:200]}")
        size = len(urllib.request.urlopen(SITE + script[1]).read())
        print(f"  {archive.name}: the page is {len(page)} bytes, its script {size}", flush=True)
    print(f"  {archive.name}: web and storage start and end", flush=True)


@contextmanager
def service(ucam: str, part: str, folder: Path) -> Iterator[None]:
    """Run one until the end, from when it listens; raises `StepFailed` when it doesn't, or ends
    badly."""
    log = folder / f"{part}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [ucam, part, "--config", f"{part}.toml"], cwd=folder, stderr=output
        )
    try:
        end = time.monotonic() + READY_WITHIN_S
        while "listening on" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise StepFailed(f"ucam {part} doesn't start\n{log.read_text()}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        status = process.wait()
    if status:
        raise StepFailed(f"ucam {part} ended with status {status}\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
