"""What a camera's access units belong to."""

import secrets
from dataclasses import dataclass, field

from ucam.media.track import VideoTrack


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken stretch of access units on one pipeline clock, with one set of parameters."""

    track: VideoTrack
    id: str = field(default_factory=lambda: secrets.token_hex(8))
