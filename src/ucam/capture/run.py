"""What a camera's access units belong to."""

import secrets
from dataclasses import dataclass, field

from ucam.media.track import AudioTrack, VideoTrack


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken stretch of access units on one pipeline clock, with one set of parameters.

    `audio`: the sound beside the pictures, None without any.
    """

    track: VideoTrack
    audio: AudioTrack | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
