"""Writing that goes on when the disk does again: the same fragment, but never in the same place.

After a failed write or sync nobody knows what is on the disk behind the last good fragment, and
asking again would be answered "all is well" (the kernel tells a failed write-back once). So the
chunk is closed as far as it is good, and the fragment begins a new one; until that succeeds it is
tried again and again, and whoever may hear of it is told each time.
"""

import logging
from collections.abc import Callable

from ucam.storage.cutter import Action, AddFragment, CloseChunk, OpenChunk
from ucam.storage.rotation import NoSpace
from ucam.storage.writer import ChunkWriter, WriteFault

_log = logging.getLogger(__name__)
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 2.0


class InsistentWriter:
    """Does a cutter's actions, in one device's lane, through faults of the disk.

    `told` is called at each fault with a plain sentence, and with None when writing goes on.
    `pause` waits so many seconds and returns True when there is no sense in waiting longer, because
    the recording has ended: what can't be written then is dropped, and the publisher that can send
    it again does so, because it never was durable.
    """

    def __init__(
        self,
        writer: ChunkWriter,
        *,
        gap_reason: str,
        told: Callable[[str | None], None],
        pause: Callable[[float], bool],
    ) -> None:
        self._writer = writer
        self._gap_reason = gap_reason
        self._told = told
        self._pause = pause
        self._wanted: OpenChunk | None = None  # to be opened with its first fragment
        self._last_wanted: OpenChunk | None = None
        self._given_up = False
        self.fault: str | None = None

    def perform(self, action: Action) -> None:
        """Blocks until it is done or there is no sense in it any more."""
        match action:
            case OpenChunk():
                self._wanted = self._last_wanted = action
            case CloseChunk():
                self._wanted = None
                self._close()
            case AddFragment() if not self._given_up:
                self._add(action)

    def _add(self, part: AddFragment) -> None:
        delay_s, last = FIRST_RETRY_S, False
        while (fault := self._attempt(part)) is not None:
            self._tell(fault)
            self._begin_anew(part)
            if last:
                self._given_up = True
                return
            last = self._pause(delay_s)
            delay_s = min(LONGEST_RETRY_S, delay_s * 2)
        if self.fault is not None:
            self._tell(None)

    def _attempt(self, part: AddFragment) -> str | None:
        """What went wrong, if anything did."""
        try:
            if self._wanted is not None:
                self._writer.open(self._wanted, self._gap_reason)
                self._wanted = None
            self._writer.append(part)
        except NoSpace as error:
            return f"the disk is full: {error}"
        except WriteFault as error:
            return f"the disk refused: {error}"
        return None

    def _begin_anew(self, part: AddFragment) -> None:
        """Close what is open, and let `part` begin the next chunk."""
        if self._wanted is not None:
            return  # nothing could be opened so far
        self._close()
        last = self._last_wanted
        assert last is not None
        self._wanted = self._last_wanted = OpenChunk(
            part.start_us,
            last.track,
            last.run,
            part.first_number,
            "the disk refused to write",
            last.audio,
        )

    def _close(self) -> None:
        try:
            self._writer.close()
        except WriteFault as error:
            # The writer has handed the file on to be closed later.
            self._tell(f"the disk refused: {error}")

    def _tell(self, fault: str | None) -> None:
        self.fault = fault
        self._told(fault)
