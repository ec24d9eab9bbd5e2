"""What a camera says of itself, from what its parts know: one function, no clock."""

from dataclasses import dataclass
from typing import Any

import msgspec

from ucam.base.times import format_utc
from ucam.protocol.status import Recording, SpoolDepth, StatusFields

# Storage confirms every two seconds what is at most one second old: older means trouble.
MAX_LAG_S = 8.0


@dataclass(frozen=True, slots=True)
class State:
    """What the parts of a camera know now. Times in microseconds of UTC; `lost_s`: seconds of
    pictures that were dropped because the spool was full. `spool_fault`: why it can't use its disk.
    """

    frames_advance: bool
    camera_fault: str | None
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

    @property
    def recording(self) -> Recording:
        """`stored`: confirmed by storage up to now; `spooled`: kept here; or `nothing`."""
        if not self.frames_advance:
            return "nothing"
        confirmed = self.storage_connected and self.durable_us is not None
        return "stored" if confirmed and self.spool_s < MAX_LAG_S else "spooled"

    @property
    def message(self) -> str | None:
        """What is wrong, in a plain sentence; the worst first."""
        if not self.frames_advance:
            return self.camera_fault or "The camera gives no picture."
        lost = f" {self.lost_s:.0f} s are lost: the spool was full." if self.lost_s else ""
        if self.spool_fault is not None:
            lost += f" The spool on disk can't be used ({self.spool_fault}): only memory is left."
        if not self.storage_connected:
            return f"Storage is away: {self.storage_fault or 'connecting'}.{lost}"
        if self.spool_s >= MAX_LAG_S:
            return f"Storage is {self.spool_s:.0f} s behind.{lost}"
        return lost.strip() or None


def status_fields(state: State) -> dict[str, Any]:
    """The fields of the room's Status."""
    fields = StatusFields(
        recording=state.recording,
        durable_until=None if state.durable_us is None else format_utc(state.durable_us),
        storage="connected" if state.storage_connected else "away",
        spool=SpoolDepth(bytes=state.spool_bytes, seconds=round(state.spool_s, 3)),
        viewers=state.viewers,
        clock_offset=None if state.clock_offset_s is None else round(state.clock_offset_s, 3),
        encoder=state.encoder,
        source=state.source,
        message=state.message,
    )
    told: dict[str, Any] = msgspec.to_builtins(fields)
    # Absent and null are the same to a reader, but these three are always there.
    return {"durable-until": None, "clock-offset": None, "message": None} | told


def outline(fields: dict[str, Any]) -> tuple[Any, ...]:
    """What of a status is worth telling before its turn: not that a second has passed."""
    return tuple(fields.get(key) for key in ("recording", "storage", "viewers", "encoder"))
