"""One coded picture, or one frame of the sound beside it, with its times."""

from typing import NamedTuple


class AccessUnit(NamedTuple):
    """One coded picture. Access units travel in decode order; with B-frames `pts_90k` goes back.

    `data`: its NAL units, each behind a 4-byte big-endian length (ISO/IEC 14496-15 §4.3.2).
    `pts_90k`: presentation time in 1/90000 s on the clock of its run (any origin, never wraps).
    `utc_us`: capture time, microseconds since 1970 in UTC.
    `number`: its place in its run; the run's first is whatever the publisher says, then +1 each.
    `audio`: a frame of the sound beside a run's pictures, `data` as its codec has it. It has no
    place of its own: its number is that of the newest picture that came before it.
    """

    data: bytes
    pts_90k: int
    utc_us: int
    keyframe: bool
    number: int
    audio: bool = False

    def __repr__(self) -> str:
        """Without its data, which nobody wants in a log."""
        kind = "sound" if self.audio else "keyframe" if self.keyframe else "picture"
        return f"<{kind} {self.number}, {len(self.data)} bytes, pts {self.pts_90k}, {self.utc_us}>"
