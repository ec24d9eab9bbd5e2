"""From 32-bit RTP time stamps to presentation times and UTC."""

from typing import NamedTuple


class Moment(NamedTuple):
    """When an access unit was taken.

    `pts_90k`: its RTP time stamp, extended over wraps. `utc_us`: its capture time; later pts have
    later UTC as long as `stepped` is false. `stepped`: the publisher's clock jumped (by more than
    the slew can follow): what comes now belongs into a new chunk.
    """

    pts_90k: int
    utc_us: int
    stepped: bool


class Timeline:
    """One stream's clock. Best first: capture time in the packet (RFC 6051), a sender report, the
    arrival. Small corrections are spread (`slew` of the media time), larger ones than `step_us`
    are taken at once and told.
    """

    def __init__(self, *, step_us: int = 2_000_000, slew: float = 0.05) -> None:
        raise NotImplementedError

    def report(self, rtp_timestamp: int, utc_us: int) -> None:
        """A sender report: this RTP time stamp belongs to this UTC."""
        raise NotImplementedError

    def place(self, rtp_timestamp: int, capture_utc_us: int | None, arrival_utc_us: int) -> Moment:
        """The next access unit in decode order. `capture_utc_us`: from its ntp-64 extension.
        `arrival_utc_us`: now, by the receiver's clock.
        """
        raise NotImplementedError
