"""One RTSPS session of the sender: a run from one number on, as SDP and as RTP."""

import logging
import secrets

from ucam.capture.run import Run
from ucam.capture.spool import Spooled
from ucam.media.access_unit import AccessUnit
from ucam.media.errors import MediaError
from ucam.media.track import Track
from ucam.rtp.errors import PayloadError
from ucam.rtp.packetizers import packetizer
from ucam.rtsp.sdp import RunLine, SessionDescription, camera_session

_log = logging.getLogger(__name__)
MAX_PACKET = 60_000
VIDEO_TYPE, AUDIO_TYPE = 96, 97
NTP64_ID = 1


class Session:
    """`run` from picture `number` on. `gap`: why pictures before it are missing, if some are."""

    def __init__(self, run: Run, number: int, gap: str) -> None:
        self.run = run
        self.number = number  # of the picture that comes next
        described = camera_session(
            run.track.codec.upper(),
            run.track.parameter_sets,
            RunLine(run.id, number),
            payload_type=VIDEO_TYPE,
            ntp64_id=NTP64_ID,
            opus_channels=run.audio.channels if run.audio is not None else 0,
        )
        self.description = SessionDescription(described.media, described.run, gap or None)
        tracks: list[tuple[Track, int]] = [(run.track, VIDEO_TYPE)]
        if run.audio is not None:
            tracks.append((run.audio, AUDIO_TYPE))
        self._packetizers = [
            packetizer(
                track,
                payload_type,
                secrets.randbits(32),
                max_packet=MAX_PACKET,
                ntp64_id=NTP64_ID,
                first_sequence=secrets.randbits(16),
            )
            for track, payload_type in tracks
        ]
        self._channels: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.run.id} from {self.number}"

    def take_channels(self, channels: tuple[int, ...]) -> None:
        """As storage answered to SETUP."""
        self._channels = channels

    def goes_on_with(self, item: Spooled) -> bool:
        """Whether an access unit belongs here, and is the next one."""
        if item.unit.audio:
            return item.run is self.run and self.run.audio is not None
        return item.run is self.run and item.unit.number == self.number

    def packets(self, unit: AccessUnit) -> tuple[list[bytes], int]:
        """The next access unit as RTP packets, and their channel. One that isn't what its format
        says is left out.
        """
        place = 1 if unit.audio else 0
        if not unit.audio:
            self.number = unit.number + 1
        # Opus has 48 ticks a millisecond, pictures have 90.
        timestamp = unit.pts_90k * 48 // 90 if unit.audio else unit.pts_90k
        channel, packetizer_ = self._channels[place], self._packetizers[place]
        try:
            return packetizer_.packetize(unit, timestamp & 0xFFFF_FFFF), channel
        except (MediaError, PayloadError) as error:
            _log.warning("run %s: %d can't be sent: %s", self.run.id, unit.number, error)
            packetizer_.skip()
            return [], channel
