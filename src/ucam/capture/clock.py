"""From the pipeline's clock to UTC, so that a step of the system clock moves no picture.

Inside a run, UTC = pipeline time + offset. The offset follows the system clock slowly enough that
the spacing of pictures stays what it was (drift of a quartz is tens of ppm). When the system clock
steps (first NTP answer after power-up, a person, a bad server), the run goes on as before and the
owner is told: it begins a new run, whose clock starts at the new time.

A Raspberry Pi has no clock that runs without power: it starts in 1970, or when it was last switched
off. Until its clock is set, times are those since the boot, and get their UTC later.
"""

# No camera of this version was running before: 2026-11-01.
EARLIEST_S = 1_793_491_200
LATEST_S = EARLIEST_S + 40 * 365 * 86_400
# A clock that can be right is believed when nobody has set it for so long after the boot: cameras
# in networks without a time server record, too.
PATIENCE_S = 60.0
# Faster than any quartz drifts, slower than anybody can see: 0.5 ms a second.
MAX_SLEW_PPM = 500
# Below this a difference is drift or a late measurement, and is slewed away.
STEP_NS = 250_000_000
# One measurement may be late by seconds on a busy machine; several in a row are a step.
MEASUREMENTS_FOR_A_STEP = 3


def is_set(system_s: float, uptime_s: float, synchronised: bool) -> bool:
    """Whether the system's clock can be believed. `system_s`: what it says, since 1970;
    `synchronised`: whether the kernel knows of a time server.
    """
    return EARLIEST_S <= system_s < LATEST_S and (synchronised or uptime_s >= PATIENCE_S)


class CaptureClock:
    """Maps one pipeline clock to UTC. All times are nanoseconds.

    `pipeline_ns` and `system_ns`: both clocks read in one moment, when the run begins. Without
    `set_`, pipeline time is all that is known, and `utc_us` gives that.
    """

    def __init__(self, pipeline_ns: int, system_ns: int, set_: bool = True) -> None:
        self.is_set = set_
        self._offset_ns = system_ns - pipeline_ns if set_ else 0
        self._last_ns = pipeline_ns
        self._far_away = 0

    def observe(self, pipeline_ns: int, system_ns: int, set_: bool = True) -> bool:
        """Take a new pair of readings; True when the system clock has stepped, or was set."""
        if not self.is_set:
            return set_
        elapsed_ns = max(pipeline_ns - self._last_ns, 0)
        self._last_ns = pipeline_ns
        error_ns = system_ns - pipeline_ns - self._offset_ns
        if abs(error_ns) >= STEP_NS:
            self._far_away += 1
            return self._far_away >= MEASUREMENTS_FOR_A_STEP
        self._far_away = 0
        most_ns = elapsed_ns * MAX_SLEW_PPM // 1_000_000
        self._offset_ns += max(-most_ns, min(error_ns // 8, most_ns))
        return False

    def utc_us(self, pipeline_ns: int) -> int:
        """Microseconds since 1970 in UTC of a moment on the pipeline's clock (without a clock that
        is set: microseconds of the pipeline's clock).
        """
        return (pipeline_ns + self._offset_ns) // 1000
