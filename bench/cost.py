"""What processes cost, as the kernel counts it."""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_SCHEDULED = 2  # clock_getcpuclockid(3): the kind of clock in a process's number


@dataclass(frozen=True, slots=True)
class Cost:
    """`cpu_percent` of one core; `memory_mb` at the end, shared pages divided by their sharers."""

    cpu_percent: float
    memory_mb: float


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User plus system time of a process so far, its threads and ended children included.

    The same that /proc tells of it, in nanoseconds instead of hundredths of a second, so that a
    per cent of a core can be seen in seconds; children's ends are told in hundredths alone.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = time.clock_gettime(~pid << 3 | _SCHEDULED)
    return own + sum(map(int, fields[13:15])) / _TICK


def busy_s() -> tuple[float, float]:
    """Seconds in which the machine's cores did something since it started, and all they had."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, idle, waiting, *interrupts = (
        int(each) / _TICK for each in first.split()[1:9]
    )
    busy = user + nice + system + sum(interrupts)
    return busy, busy + idle + waiting


def memory_mb(pid: int) -> float:
    """Resident memory; of pages that processes share, the process's part (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise ProcessLookupError(pid)


def measure(pids: Iterable[int], seconds: float) -> Cost:
    """What these processes cost together over the coming `seconds`."""
    pids = list(pids)
    before, began = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    spent = sum(map(cpu_seconds, pids)) - before
    return Cost(100 * spent / (time.monotonic() - began), sum(map(memory_mb, pids)))
