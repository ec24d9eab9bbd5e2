"""The clock of an IP camera, as its pictures arrive: drift is followed, jitter is not. No clock.

An IP camera stamps its pictures by a clock of its own. Their spacing is right, the network's isn't;
but over days the camera's quartz runs away from ours (50 ppm are 4 s a day). What arrived with the
least delay in ten seconds tells how far; the correction follows so slowly that nobody sees it.

(GStreamer's own correction, `buffer-mode=slave`, takes B-frames, whose times go back, for jitter
and shakes every picture by up to a frame.)
"""

FIRST_WINDOW_NS = 2_000_000_000
WINDOW_NS = 10_000_000_000
MAX_SLEW_PPM = 200
# With B-frames a picture arrives before its time, by some pictures; by more than this none does.
MAX_AHEAD_NS = 500_000_000
# After so long without a picture a source is built anew anyway (see `feed`).
MAX_LATE_NS = 15_000_000_000


class Jumped(ValueError):  # noqa: N818 - what the camera did
    """The camera's time stamps have jumped: nothing before compares with what comes."""


class Drift:
    """One connection's. Times are nanoseconds on the monotonic clock: `clock_ns` as the camera
    stamps, its first picture as it arrived; `arrival_ns` as it really was.
    """

    def __init__(self) -> None:
        self._window_ns: int | None = None  # where this one began
        self._last_ns = 0
        self._least_ns = 0  # delay in this window
        self._reference_ns: int | None = None  # the same in the first one
        self._base_ns = 0
        self._target_ns = 0
        self._correction_ns = 0

    @property
    def is_ahead(self) -> bool:
        """Whether its times lie in the future: it began with older pictures, all at once."""
        reference_ns = self._reference_ns
        return reference_ns is not None and reference_ns - self._base_ns < -MAX_AHEAD_NS

    def settle(self) -> None:
        """A run begins: what is wrong with the times may be put right at once."""
        if self.is_ahead:
            assert self._reference_ns is not None
            self._base_ns = self._reference_ns

    def correct(self, clock_ns: int, arrival_ns: int) -> int:
        """The picture's time on our clock; raises `Jumped`."""
        delay_ns = arrival_ns - clock_ns
        if self._window_ns is None:
            self._window_ns = self._last_ns = arrival_ns
            self._least_ns = delay_ns
        known_ns = self._least_ns if self._reference_ns is None else self._reference_ns
        beside_ns = delay_ns - known_ns - self._correction_ns
        early = self._reference_ns is not None and beside_ns < -MAX_AHEAD_NS
        if early or beside_ns > MAX_LATE_NS:
            raise Jumped
        self._look(delay_ns, arrival_ns, self._window_ns)
        most_ns = (arrival_ns - self._last_ns) * MAX_SLEW_PPM // 1_000_000
        self._last_ns = arrival_ns
        step_ns = self._target_ns - self._correction_ns
        self._correction_ns += max(-most_ns, min(step_ns, most_ns))
        return clock_ns + self._base_ns + self._correction_ns

    def _look(self, delay_ns: int, arrival_ns: int, began_ns: int) -> None:
        """Take the delay of a picture; at a window's end it is known where the clock has gone."""
        self._least_ns = min(self._least_ns, delay_ns)
        first = self._reference_ns is None
        if arrival_ns - began_ns < (FIRST_WINDOW_NS if first else WINDOW_NS):
            return
        if self._reference_ns is None:
            self._reference_ns = self._least_ns
        self._target_ns = self._least_ns - self._reference_ns
        self._window_ns, self._least_ns = arrival_ns, delay_ns
