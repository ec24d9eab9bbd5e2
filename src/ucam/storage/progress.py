"""How far a long look has come: a bar on a terminal, a line in the log now and then elsewhere."""

import logging
import sys
import time

_log = logging.getLogger(__name__)
WIDTH = 40
BAR_EVERY_S = 0.1
LINE_EVERY_S = 5.0


class ProgressBar:
    """Called with how many of how many are done; says nothing about what is done in a moment."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._bar = sys.stderr.isatty()
        self._next_s = time.monotonic() + 1.0
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        """Show it, if it is time to."""
        now_s = time.monotonic()
        if now_s < self._next_s and not (self._drawn and done >= total):
            return
        percent = 100 * done // max(1, total)
        if self._bar:
            filled = WIDTH * done // max(1, total)
            line = f"\r{self._doing} [{'#' * filled:{WIDTH}}] {percent:3} %"
            sys.stderr.write(line + ("\n" if done >= total else ""))
            sys.stderr.flush()
        else:
            _log.info("%s: %d of %d, %d %%", self._doing, done, total, percent)
        self._drawn = True
        self._next_s = now_s + (BAR_EVERY_S if self._bar else LINE_EVERY_S)
