"""This machine's clocks: monotonic, of the day, and whether anybody has set the latter."""

import ctypes
import time
from pathlib import Path

from ucam.capture.clock import is_set

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 1024  # more than struct timex has anywhere


class SystemClock:
    """`boot`: tells this boot of the machine from others."""

    def __init__(self) -> None:
        try:
            self.boot = BOOT_ID.read_text().strip()
        except OSError:
            self.boot = "unknown"
        self._adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)

    def read(self) -> tuple[int, int, bool]:
        """The monotonic clock (it begins with the boot) and the system's in nanoseconds, in one
        moment; and whether the latter can be believed.
        """
        pipeline_ns, system_ns = time.monotonic_ns(), time.time_ns()
        synchronised = self._is_synchronised()
        return pipeline_ns, system_ns, is_set(system_ns / 1e9, pipeline_ns / 1e9, synchronised)

    def _is_synchronised(self) -> bool:
        if self._adjtimex is None:
            return False
        # All zero: only read (modes, the first field, says what to set).
        state = self._adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= int(state) != _TIME_ERROR
