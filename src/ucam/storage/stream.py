"""A publisher's packets into numbered, timed access units. No I/O; arrival times are arguments."""

from collections.abc import Sequence
from typing import NamedTuple

from ucam.media import MediaError
from ucam.media.access_unit import AccessUnit
from ucam.media.track import Track
from ucam.rtp import RTPError
from ucam.rtp.formats import FORMATS, depacketizer
from ucam.rtp.rtcp import sender_reports
from ucam.rtp.timeline import Timeline
from ucam.rtp.unit import Unit
from ucam.rtsp.sdp import Media


class Arrived(NamedTuple):
    """An access unit, the track it belongs to, and whether the publisher's clock jumped here."""

    unit: AccessUnit
    track: Track
    stepped: bool


class Stream:
    """One track of one publisher.

    Access units are numbered from `first_number` in the order in which the publisher sent them;
    lost and broken ones take numbers, too. `undescribed` counts those that came before any
    parameter sets and so can't be kept.
    """

    def __init__(self, media: Media, parameter_sets: tuple[bytes, ...], first_number: int) -> None:
        parts = depacketizer(
            media.encoding,
            parameter_sets,
            media.ntp64_id,
            clock_rate=media.clock_rate,
            channels=media.channels,
            parameters=media.parameters,
        )
        if parts is None:
            raise ValueError(f"{media.encoding} can't be recorded")
        self._depacketizer = parts
        self._format = FORMATS[media.encoding]
        self._timeline = Timeline(clock_rate=media.clock_rate)
        self._number = first_number
        self._dropped = 0
        self._track: Track | None = None
        self.undescribed = 0
        self.bad_reports = 0
        if parts.description:
            self._describe(parts.description)

    @property
    def track(self) -> Track | None:
        """What it is, as far as it is known."""
        return self._track

    @property
    def lost_packets(self) -> int:
        """Packets that never came, or came broken."""
        return self._depacketizer.lost_packets

    def rtcp(self, packet: bytes | memoryview) -> None:
        """A compound RTCP packet; what can't be read is counted and passed over."""
        try:
            for report in sender_reports(packet):
                self._timeline.report(report.rtp_timestamp, report.utc_us)
        except RTPError:
            self.bad_reports += 1

    def rtp(self, packet: bytes | memoryview, arrival_utc_us: int) -> Sequence[Arrived]:
        """An RTP packet, and the access units that are whole with it."""
        self._depacketizer.push(packet)
        unit = self._depacketizer.pull()
        # Hundreds of packets a second end no access unit: they must cost nothing here.
        return () if unit is None else self._arrive(unit, arrival_utc_us)

    def flush(self, arrival_utc_us: int) -> Sequence[Arrived]:
        """The stream has ended: the access unit begun is whole."""
        self._depacketizer.flush()
        unit = self._depacketizer.pull()
        return () if unit is None else self._arrive(unit, arrival_utc_us)

    def _arrive(self, first: Unit, arrival_utc_us: int) -> list[Arrived]:
        found: list[Arrived] = []
        unit: Unit | None = first
        while unit is not None:
            arrived = self._number_and_time(unit, arrival_utc_us)
            if arrived is not None:
                found.append(arrived)
            unit = self._depacketizer.pull()
        return found

    def _number_and_time(self, unit: Unit, arrival_utc_us: int) -> Arrived | None:
        dropped, self._dropped = self._dropped, self._depacketizer.dropped_units
        # At least one number is skipped after a loss: how many were lost nobody knows.
        self._number += max(self._dropped - dropped, 1 if unit.after_loss else 0)
        number, self._number = self._number, self._number + 1
        if unit.parameter_sets:
            self._describe(unit.parameter_sets)
        if self._track is None:
            self.undescribed += 1
            return None
        moment = self._timeline.place(unit.rtp_timestamp, unit.capture_utc_us, arrival_utc_us)
        access_unit = AccessUnit(unit.data, moment.pts_90k, moment.utc_us, unit.keyframe, number)
        return Arrived(access_unit, self._track, moment.stepped)

    def _describe(self, parameter_sets: tuple[bytes, ...]) -> None:
        try:
            self._track = self._format.describe(parameter_sets)
        except MediaError:
            # Broken ones are no description; what comes behind them can't be kept either.
            self._track = None
