"""What depacketizers give: an access unit that has no UTC and no number yet."""

from typing import NamedTuple


class Unit(NamedTuple):
    """One access unit as it came.

    `data`: NAL units behind 4-byte lengths, without parameter sets, delimiters and fillers.
    `capture_utc_us`: from the `ntp-64` extension of its packets (RFC 6051), None without one.
    `parameter_sets`: all SPS, then all PPS that are now in force if this unit (or the SDP, for the
    first) brought or changed some, else None. `after_loss`: units before it were lost or dropped.
    """

    data: bytes
    rtp_timestamp: int
    keyframe: bool
    capture_utc_us: int | None
    parameter_sets: tuple[bytes, ...] | None
    after_loss: bool
