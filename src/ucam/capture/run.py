"""What a camera's access units belong to."""

import secrets
from dataclasses import dataclass, field

from ucam.media.track import AudioTrack, VideoTrack


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken stretch of access units on one pipeline clock, with one set of parameters.

    `audio`: the sound beside the pictures, None without any. `why`: why the run before it ended, in
    a few words; storage tells it if there is a gap. `boot`: None when the times of its access units
    are UTC; else the system's clock was not set, and they are microseconds since that boot.
    """

    track: VideoTrack
    audio: AudioTrack | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    why: str = ""
    boot: str | None = None
