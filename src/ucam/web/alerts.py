"""When a mail is due about what is wrong with devices. No I/O, no clock.

`observe` is told every few seconds what is wrong now; `due` says when people must hear of it.
A trouble counts when it has lasted `after_s`, and is over when all was well for as long: a line
that comes and goes makes one mail, not twenty. What happens together is told together, and no more
than `MAILS_PER_HOUR` digests go out in an hour; what waits longer is told in the next one.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ucam.base.jid import JID

MAILS_PER_HOUR = 6
# After the first news: a power cut takes all cameras of a location within this.
GATHER_S = 15.0
# A trouble that was gone for less than this never was gone.
SETTLE_S = 30.0


class Kind(StrEnum):
    """What can be wrong with a device."""

    OFFLINE = "offline"
    NOT_RECORDING = "not recording"
    STORAGE = "storage unreachable"
    DISK = "disk"
    CLOCK = "clock"


class Subject(NamedTuple):
    """What a trouble is about."""

    device: JID
    kind: Kind


@dataclass(frozen=True, slots=True)
class News:
    """One line of a mail: a trouble that began at `since_s`, and ended at `until_s` if it did."""

    subject: Subject
    text: str
    since_s: float
    until_s: float | None


@dataclass(slots=True)
class _Trouble:
    since_s: float
    text: str
    last_bad_s: float
    told: bool = False
    counts: bool = False


class Alerts:
    """The troubles of one room; bounded by the devices that the owner asks about."""

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._troubles: dict[Subject, _Trouble] = {}
        self._ended: list[News] = []
        self._gather_until_s: float | None = None
        # Bounded: no more than MAILS_PER_HOUR stand in it.
        self._sent_s: deque[float] = deque()

    def observe(self, findings: Mapping[Subject, str | None], now_s: float) -> None:
        """Take what is known now: a sentence where something is wrong, None where all is well.

        What is missing isn't known (a camera that is offline says nothing of its disk) and stays
        as it was; `forget` drops what is no longer asked about.
        """
        for subject, text in findings.items():
            if text is None:
                self._well(subject, now_s)
            else:
                self._bad(subject, text, now_s)

    def forget(self, devices: frozenset[JID]) -> None:
        """Drop the troubles of devices that are not among `devices` (a new configuration)."""
        self._troubles = {s: t for s, t in self._troubles.items() if s.device in devices}
        self._ended = [news for news in self._ended if news.subject.device in devices]

    def due(self, now_s: float) -> tuple[News, ...]:
        """What to tell now, the longest trouble first; empty: nothing. It counts as told."""
        while self._sent_s and self._sent_s[0] <= now_s - 3600:
            self._sent_s.popleft()
        began = [s for s, t in self._troubles.items() if t.counts and not t.told]
        if not began and not self._ended:
            self._gather_until_s = None
            return ()
        if self._gather_until_s is None:
            self._gather_until_s = now_s + GATHER_S
        if now_s < self._gather_until_s or len(self._sent_s) >= MAILS_PER_HOUR:
            return ()
        self._sent_s.append(now_s)
        self._gather_until_s = None
        news = [*self._ended]
        self._ended = []
        for subject in began:
            trouble = self._troubles[subject]
            trouble.told = True
            news.append(News(subject, trouble.text, trouble.since_s, None))
        return tuple(sorted(news, key=lambda one: (one.until_s is not None, one.since_s)))

    def resume(self, told: Iterable[News], now_s: float) -> None:
        """Take over from a process before this one: these were told, and may last."""
        for news in told:
            trouble = _Trouble(news.since_s, news.text, now_s, told=True, counts=True)
            self._troubles.setdefault(news.subject, trouble)

    def standing(self) -> tuple[News, ...]:
        """The troubles that were told and last."""
        told = [(s, t) for s, t in self._troubles.items() if t.told]
        return tuple(News(subject, t.text, t.since_s, None) for subject, t in told)

    def _bad(self, subject: Subject, text: str, now_s: float) -> None:
        trouble = self._troubles.setdefault(subject, _Trouble(now_s, text, now_s))
        trouble.text, trouble.last_bad_s = text, now_s
        trouble.counts = trouble.counts or now_s - trouble.since_s >= self.after_s

    def _well(self, subject: Subject, now_s: float) -> None:
        trouble = self._troubles.get(subject)
        if trouble is None:
            return
        settle_s = max(self.after_s, SETTLE_S) if trouble.counts else SETTLE_S
        if now_s - trouble.last_bad_s < settle_s:
            return
        del self._troubles[subject]
        if trouble.counts:
            # Told even where its beginning had to wait: both then stand in one line.
            self._ended.append(News(subject, trouble.text, trouble.since_s, trouble.last_bad_s))
