"""What is wrong with each device, in plain sentences, from what the room knows. No I/O, no clock.

A finding is a sentence that says what is wrong and what to do, or None when all is well; what
can't be known now (of a device that is away) has no finding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ucam.base.jid import JID
from ucam.web.alerts import Kind, Subject
from ucam.web.config import Location

# A camera's clock that is wrong by so much puts recordings at times that were not.
CLOCK_OFFSET_S = 5.0


@dataclass(frozen=True, slots=True)
class Presence:
    """A device that is connected: its name, and its last Status if it has sent one."""

    name: str
    status: Mapping[str, Any] | None


def findings(
    locations: Mapping[str, Location], present: Mapping[JID, Presence]
) -> dict[Subject, str | None]:
    """What is wrong, by what it is about, for every device that the configuration names."""
    found: dict[Subject, str | None] = {}
    for place in locations.values():
        for jid in place.devices:
            found.update(_camera(jid, present.get(jid)))
        if place.storage is not None:
            found.update(_storage(place.storage, present.get(place.storage)))
    return found


def _camera(jid: JID, here: Presence | None) -> Iterator[tuple[Subject, str | None]]:
    offline = "It is not connected: look at its power and its network."
    yield Subject(jid, Kind.OFFLINE), offline if here is None else None
    if here is None or here.status is None:
        return
    status = here.status
    message = _sentence(status.get("message"))
    recording = status.get("recording")
    nothing = recording == "nothing"
    yield (
        Subject(jid, Kind.NOT_RECORDING),
        message or "The camera gives no picture: look at its cable." if nothing else None,
    )
    if not nothing:
        # Pictures kept in the camera aren't lost, but nobody can look at them.
        behind = status.get("storage") == "away" or recording == "spooled"
        keeps = message or "Storage confirms nothing: look at the storage machine."
        yield (
            Subject(jid, Kind.STORAGE),
            f"{keeps} The camera keeps its pictures until storage is back." if behind else None,
        )
    yield Subject(jid, Kind.CLOCK), _clock(status.get("clock-offset"))


def _storage(jid: JID, here: Presence | None) -> Iterator[tuple[Subject, str | None]]:
    offline = "The storage is not connected: look at its power and its network."
    yield Subject(jid, Kind.OFFLINE), offline if here is None else None
    if here is None or here.status is None:
        return
    yield Subject(jid, Kind.DISK), _sentence(here.status.get("message"))
    yield Subject(jid, Kind.CLOCK), _clock(here.status.get("clock-offset"))


def _clock(offset_s: object) -> str | None:
    if isinstance(offset_s, bool) or not isinstance(offset_s, int | float):
        return None
    # Also what is no number at all (JSON readers let NaN through) is no good clock.
    if abs(offset_s) < CLOCK_OFFSET_S:
        return None
    way = "ahead" if offset_s > 0 else "behind"
    return f"Its clock is {abs(offset_s):.0f} s {way}: look at its time synchronisation."


def _sentence(message: object) -> str | None:
    """A device's own words, made one printable line of bounded length."""
    if not isinstance(message, str):
        return None
    return "".join(c if c.isprintable() else " " for c in message[:300]).strip() or None
