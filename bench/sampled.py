"""`python -m bench.sampled FILE ucam-arguments…`: run `ucam` and write where its time went.

A sample each 2 ms of the process's CPU, of the main thread; FILE gets functions with their share of
samples: in themselves, and with what they call. Python's frames alone: what C code does is counted
for the function that called it.
"""

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from ucam.cli import main

INTERVAL_S = 0.002
SHOWN = 25


class Samples:
    """Counts by function."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        self.within: Counter[str] = Counter()
        self.total = 0

    def take(self, _signal: int, frame: FrameType | None) -> None:
        """One sample, from the signal's handler."""
        self.total += 1
        seen: set[str] = set()
        first = True
        while frame is not None:
            code = frame.f_code
            path = "/".join(Path(code.co_filename).parts[-2:])
            name = f"{path}:{code.co_firstlineno} {code.co_qualname}"
            if first:
                self.own[name] += 1
                first = False
            seen.add(name)
            frame = frame.f_back
        self.within.update(seen)

    def text(self) -> str:
        """Both orders, in per cent."""
        lines = [f"{self.total} samples"]
        for title, counts in (("in itself", self.own), ("with what it calls", self.within)):
            lines.append(f"\n{title}:")
            for name, count in counts.most_common(SHOWN):
                lines.append(f"{100 * count / max(self.total, 1):6.1f} %  {name}")
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    samples = Samples()
    signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    try:
        status = main(sys.argv[2:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(sys.argv[1]).write_text(samples.text())
    sys.exit(status)
