"""What a camera says of itself, from what its parts know. No clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ucam import __version__
from ucam.base.times import format_utc
from ucam.capture.trouble import NO_CLOCK
from ucam.protocol.status import Recording, SpoolDepth, StatusFields

# Storage confirms every two seconds what is at most one second old: older means trouble.
MAX_LAG_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the parts of a camera know now. Times in microseconds of UTC.

    `newest_us`: capture time of the newest picture. `lost_s`: seconds of pictures that were
    dropped in the present trouble because the spool was full. `spool_fault`: why it can't use its
    disk. `audio`: whether there is sound, None where none is wanted. `warning`: of the board.
    `led`: the pattern that it shows.
    """

    frames_advance: bool
    camera_fault: str | None
    newest_us: int | None
    storage_connected: bool
    storage_fault: str | None
    durable_us: int | None
    spool_bytes: int
    spool_s: float
    lost_s: float
    viewers: tuple[str, ...]
    clock_offset_s: float | None
    encoder: str
    source: str
    spool_fault: str | None = None
    chosen: str | None = None
    audio: bool | None = None
    audio_fault: str | None = None
    temperature_c: float | None = None
    under_voltages: int | None = None
    warning: str | None = None
    led: str | None = None
    web_connected: bool = True

    @property
    def storage_reached(self) -> bool:
        """Whether storage takes pictures; it still does while a new run is being announced."""
        changes = self.storage_fault is None and self.durable_us is not None
        return self.storage_connected or changes

    @property
    def recording(self) -> Recording:
        """`stored`: confirmed by storage up to now; `spooled`: kept here; or `nothing`."""
        if not self.frames_advance:
            return "nothing"
        if not self.storage_reached or self.durable_us is None or self.newest_us is None:
            return "spooled"
        lag_s = max(self.spool_s, (self.newest_us - self.durable_us) / 1e6)
        return "stored" if lag_s < MAX_LAG_S else "spooled"

    @property
    def message(self) -> str | None:
        """What is wrong, in a plain sentence; the worst first."""
        if not self.frames_advance:
            return self.camera_fault or "The camera gives no picture."
        lost = f" {self.lost_s:.0f} s are lost: the spool was full." if self.lost_s else ""
        if self.spool_fault is not None:
            lost += f" The spool on disk can't be used ({self.spool_fault}): only memory is left."
        if self.storage_fault == NO_CLOCK:
            return f"Nothing is sent to storage: {NO_CLOCK}.{lost}"
        if not self.storage_reached:
            return f"Storage is away: {self.storage_fault or 'connecting'}.{lost}"
        if self.spool_s >= MAX_LAG_S:
            return f"Storage is {self.spool_s:.0f} s behind.{lost}"
        if lost or self.warning is not None:
            return lost.strip() or self.warning
        return None if self.audio_fault is None else f"There is no sound: {self.audio_fault}."


class GapLike(Protocol):
    """A stretch of time that the spool had no room for (see `ucam.capture.spool`)."""

    @property
    def from_us(self) -> int:
        """UTC of its first picture."""

    @property
    def to_us(self) -> int:
        """UTC of its last picture."""


class Losses:
    """How much was lost in the present trouble: what is told goes when all is well again."""

    def __init__(self) -> None:
        self._well_until_us = 0

    def seconds(self, gaps: Iterable[GapLike], well: bool) -> float:
        """`gaps`: all that the spool knows of. `well`: storage confirms what comes now."""
        known = list(gaps)
        if well:
            self._well_until_us = max((gap.to_us for gap in known), default=self._well_until_us)
        began_us = self._well_until_us
        return sum(max(0, gap.to_us - max(gap.from_us, began_us)) for gap in known) / 1e6


def status_fields(state: State) -> dict[str, Any]:
    """The fields of the room's Status."""
    sound = None if state.audio is None else "recorded" if state.audio else "failed"
    fields = StatusFields(
        recording=state.recording,
        durable_until=None if state.durable_us is None else format_utc(state.durable_us),
        storage="connected" if state.storage_reached else "away",
        spool=SpoolDepth(bytes=state.spool_bytes, seconds=round(state.spool_s, 3)),
        viewers=state.viewers,
        clock_offset=None if state.clock_offset_s is None else round(state.clock_offset_s, 3),
        encoder=state.encoder,
        source=state.source,
        chosen=state.chosen,
        audio=sound,  # type: ignore[arg-type]
        temperature=state.temperature_c,
        under_voltage=state.under_voltages,
        led=state.led,
        version=__version__,
        message=state.message,
    )
    told: dict[str, Any] = msgspec.to_builtins(fields)
    # Absent and null are the same to a reader, but these three are always there.
    return {"durable-until": None, "clock-offset": None, "message": None} | told


def outline(fields: dict[str, Any]) -> tuple[Any, ...]:
    """What of a status is worth telling before its turn: not that a second has passed."""
    return tuple(fields.get(key) for key in ("recording", "storage", "viewers", "encoder", "led"))
