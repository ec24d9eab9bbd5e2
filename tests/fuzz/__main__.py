"""Coverage-guided fuzzing: `python -m fuzz [--seconds N] [--folder F] [TARGET …]`, tests/ on the
path; `make fuzz` does it.

Each target runs in a process of its own, under atheris (libFuzzer). What a run learns stays in
F/TARGET and is where the next one begins; an input that fails is left in F/failures. Its place,
once the fault is mended, is tests/fuzz/corpus/TARGET.
"""

import argparse
import io
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

import atheris

# It tells of each module.
with redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["ucam"]):
    from fuzz.storage_targets import MEMORY
    from fuzz.target import Target, committed
    from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
TEMPORARY = Path(tempfile.gettempdir())
MEMORY_MB = 1024  # a target's process: libFuzzer's tables and what was imported included
LARGEST = 20_000
STUCK_S = 300


class Ran(NamedTuple):
    """What a target's process said of itself. `covered`: branches."""

    failed: bool
    executions: int
    cpu_ms: float
    covered: str
    output: str


def fuzz(name: str, seconds: int, folder: Path) -> Ran:
    """One target, in a process of its own."""
    corpus, failures = folder / name, folder / "failures"
    corpus.mkdir(parents=True, exist_ok=True)
    failures.mkdir(exist_ok=True)
    arguments = [f"-max_total_time={seconds}", f"-artifact_prefix={failures}/{name}-"]
    arguments += [f"-max_len={LARGEST}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={STUCK_S}"]
    with tempfile.TemporaryFile() as output:
        # Everything is imported, and nothing has begun a thread yet: each target gets a copy.
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            _inside(TARGETS[name], name, [*arguments, str(corpus)])
        _, status, used = os.wait4(child, 0)
        for left in (*MEMORY.glob(f"ucam-fuzz-{child}-*"), *TEMPORARY.glob(f"ucam-fuzz-{child}-*")):
            shutil.rmtree(left, ignore_errors=True)  # libFuzzer ends without a word
        output.seek(0)
        text = output.read().decode(errors="replace")
    executions = max(map(int, re.findall(r"^#(\d+)", text, re.MULTILINE)), default=0)
    covered = re.findall(r"cov: (\d+)", text)
    cpu_ms = 1000 * (used.ru_utime + used.ru_stime) / max(1, executions)
    return Ran(status != 0, executions, cpu_ms, covered[-1] if covered else "?", text[-10_000:])


def _inside(target: Target, name: str, arguments: list[str]) -> None:
    """The target's process. Never returns: libFuzzer ends it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number, seed in enumerate([*target.seeds(), *committed(name)]):
        (Path(arguments[-1]) / f"seed-{number:03}").write_bytes(seed[:LARGEST])
    atheris.Setup(["fuzz", *arguments], target.run)
    atheris.Fuzz()


def main() -> int:
    """All targets or those named, one after the other; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--folder", type=Path, default=ROOT / ".fuzz")
    parser.add_argument("targets", nargs="*", help=", ".join(TARGETS))
    asked = parser.parse_args()
    began = time.monotonic()
    print(
        "| target | executions | CPU ms each | branches |\n| --- | ---: | ---: | ---: |", flush=True
    )
    failed = []
    for name in asked.targets or TARGETS:
        ran = fuzz(name, asked.seconds, asked.folder)
        line = f"| `{name}` | {ran.executions:,} | {ran.cpu_ms:.2f} | {ran.covered} |"
        print(line, flush=True)
        if ran.failed:
            failed.append(name)
            print(ran.output, file=sys.stderr, flush=True)
    print(f"{time.monotonic() - began:.0f} s; failed: {', '.join(failed) or 'none'}")
    if failed:
        print(f"the inputs are in {asked.folder / 'failures'}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
